package multilora

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// peftConfig is what an adapter_config.json of PEFT says of a LoRA.
type peftConfig struct {
	base    string
	rank    int
	alpha   float64
	rsLoRA  bool
	doRA    bool
	bias    bool // of lora_B
	dropout float64

	// Ranks and alphas of layers that have others, in the file's order: the first pattern
	// that matches counts.
	ranks, alphas []peftPattern

	targets, exclude peftNames
	tokens           []peftTokens // rows that are trained in full
	saves            []string     // ends of the names of modules that are trained in full
	tied             bool         // of a head that is the embedding too, the latter alone may be saved
	layers           []int        // numbers of the blocks that are adapted; nil: all
	layersPattern    []pattern    // where a layer's name has the block's number

	fence *fence // around all patterns

	// unsupported says, field by field, what of the adapter is not supported.
	unsupported []string
}

type peftPattern struct {
	pattern
	value float64
}

// peftNames is a list of names, a pattern of whole names, or all.
type peftNames struct {
	list    []string
	pattern *pattern
	all     bool
}

// harmless are fields that say nothing about what a finished adapter computes beside
// linear layers: where it came from, how its numbers began, what other fields would need.
// fan_in_fan_out says how the base's weights are stored, and PEFT itself takes it for
// false beside layers like ours.
var harmless = []string{
	"auto_mapping", "corda_config", "eva_config", "fan_in_fan_out", "inference_mode", "loftq_config",
	"lora_ga_config", "megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type",
}

// unknownForms are fields that make another adapter of a LoRA, and which.
var unknownForms = map[string]string{
	"layer_replication":       "a model whose layers are there several times",
	"megatron_config":         "layers of Megatron",
	"alora_invocation_tokens": "aLoRA, which works behind certain tokens only",
	"arrow_config":            "Arrow, which chooses among several adapters",
	"target_parameters":       "LoRA beside parameters that are no layers",
	"use_qalora":              "QALoRA, which sees means of its inputs",
	"use_bdlora":              "BD-LoRA, whose matrices are block-diagonal",
	"kasa_config":             "KaSA, which has a diagonal between A and B",
	"monteclora_config":       "MonteCLoRA, whose factors are random",
	"velora_config":           "VeLoRA",
}

// otherTypes are PEFT's other kinds of adapters, and what they are.
var otherTypes = map[string]string{
	"PROMPT_TUNING":           "prompt tuning, learned vectors before the text",
	"MULTITASK_PROMPT_TUNING": "prompt tuning of several tasks, learned vectors before the text",
	"P_TUNING":                "P-tuning, vectors before the text that a network makes",
	"PREFIX_TUNING":           "prefix tuning, learned keys and values before the text's",
	"CARTRIDGE":               "a cartridge, learned keys and values before the text's",
	"CPT":                     "context-aware prompt tuning, learned vectors before the text",
	"ADAPTION_PROMPT":         "LLaMA-Adapter, learned prompts in the later layers",
	"ADALORA":                 "AdaLoRA, which has a diagonal between A and B",
	"XLORA":                   "X-LoRA, which mixes several LoRAs by the text",
	"LOHA":                    "LoHa, an elementwise product of two low-rank changes",
	"LOKR":                    "LoKr, a Kronecker product",
	"VERA":                    "VeRA, scalings of random matrices that all layers share",
	"RANDLORA":                "RandLoRA, scalings of random matrices that all layers share",
	"VBLORA":                  "VB-LoRA, vectors out of a bank that all layers share",
	"IA3":                     "IA³, which scales activations",
	"ROAD":                    "RoAd, which turns activations",
	"OFT":                     "OFT, which turns the weights",
	"BOFT":                    "BOFT, which turns the weights",
	"HRA":                     "HRA, which reflects the weights",
	"BONE":                    "Bone, blocks added to the weights",
	"MISS":                    "MiSS, blocks added to the weights",
	"FOURIERFT":               "FourierFT, a change made of frequencies",
	"WAVEFT":                  "WaveFT, a change made of wavelets",
	"C3A":                     "C3A, convolutions beside the layers",
	"SHIRA":                   "SHiRA, a change of few numbers of a weight",
	"LN_TUNING":               "tuned norms (--train-also norm trains those here)",
	"TRAINABLE_TOKENS":        "rows of the embedding alone (a LoRA may have them: trainable_token_indices)",
	"POLY":                    "Poly, which mixes modules by the task",
	"DELORA":                  "DeLoRA, whose change has a bounded norm",
	"GRALORA":                 "GraLoRA, low-rank changes of blocks of a weight",
	"OSF":                     "OSF, which tunes singular vectors of the weights",
}

// parsePEFTConfig reads the text of an adapter_config.json. What it says of another kind of
// adapter than LoRA is not looked at. A field that would change what the adapter computes and is
// not known here is among the unsupported ones, and so is one whose value cannot be.
func parsePEFTConfig(text []byte) (*peftConfig, error) {
	fields, err := orderedObject(text)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == "peft_type" })
	if i < 0 {
		return nil, errors.New(`field peft_type: want "LORA", got none`)
	}
	var kind string
	if json.Unmarshal(fields[i].value, &kind) != nil || kind != "LORA" {
		err := fields[i].wrong(`"LORA"`)
		if what, known := otherTypes[kind]; known {
			err = fmt.Errorf("%w: %s (not supported)", err, what)
		}
		return nil, err
	}
	if n := repetitions(text); n > maxRepetitions {
		return nil, fmt.Errorf("want at most %d counted repetitions in patterns, got %d", maxRepetitions, n)
	}
	// PEFT's defaults for the LLaMA family.
	c := &peftConfig{fence: newFence(), rank: 8, alpha: 8, targets: peftNames{list: []string{"q_proj", "v_proj"}}}
	layersSet := ""
	for _, f := range fields {
		var err error
		switch f.key {
		case "peft_type":
		case "base_model_name_or_path":
			err = f.decode(&c.base, "a string")
		case "r":
			c.rank, err = f.rank()
		case "lora_alpha":
			c.alpha, err = f.alpha()
		case "use_rslora":
			err = f.decode(&c.rsLoRA, "true or false")
		case "use_dora":
			err = f.flag(&c.doRA)
		case "lora_bias":
			err = f.flag(&c.bias)
		case "lora_dropout":
			if err = f.decode(&c.dropout, "a number"); err == nil && !(c.dropout >= 0 && c.dropout < 1) {
				err = f.wrong("at least 0 and below 1")
			}
		case "rank_pattern":
			c.ranks, err = f.patterns(func(f field) (float64, error) { r, err := f.rank(); return float64(r), err })
		case "alpha_pattern":
			c.alphas, err = f.patterns(field.alpha)
		case "target_modules":
			if !f.empty() {
				c.targets, err = f.names()
			}
		case "exclude_modules":
			c.exclude, err = f.names()
		case "trainable_token_indices":
			c.tokens, err = f.tokens()
		case "modules_to_save":
			c.saves, err = f.list()
		case "ensure_weight_tying":
			err = f.decode(&c.tied, "true or false")
		case "layers_to_transform":
			if c.layers, err = f.numbers(); c.layers != nil {
				layersSet = f.key
			}
		case "layers_pattern":
			c.layersPattern, err = f.layerPatterns()
		case "init_lora_weights":
			// PEFT changes the base's weights beside adapters that began so.
			for _, name := range []string{"pissa", "olora", "corda", "loftq", "lora_ga"} {
				if strings.HasPrefix(string(f.value), `"`+name) {
					err = f.wrong("a beginning that leaves the base model's weights alone (let PEFT convert the " +
						"adapter)")
				}
			}
		case "bias":
			if string(f.value) != `"none"` && !f.empty() {
				err = f.wrong(`"none"`)
			}
		default:
			form, known := unknownForms[f.key]
			switch {
			case f.empty() || slices.Contains(harmless, f.key):
			case known:
				err = f.wrong("null, false or empty: " + form + " (not supported)")
			default:
				err = f.wrong("null, false or empty: it may change what the adapter computes, and is not known here")
			}
		}
		if err != nil {
			c.unsupported = append(c.unsupported, err.Error())
		}
	}
	if c.doRA && c.bias { // PEFT takes the bias for a part of the weight whose norm it is
		c.unsupported = append(c.unsupported, "field lora_bias: want false beside use_dora, got true")
	}
	if layersSet != "" && c.targets.list == nil {
		c.unsupported = append(c.unsupported, fmt.Sprintf(
			"field %s: want null beside a target_modules that is one string, got a list or number", layersSet))
	}
	return c, nil
}

// refuseModules notes the modules that the configuration makes LoRA layers of, and which are
// no linear layers in a model's blocks.
func (c *peftConfig) refuseModules(modules []string) {
	if c.targets.all { // means linear layers, and not the head
		return
	}
	for _, module := range modules {
		if c.adapts(module) {
			c.unsupported = append(c.unsupported, "field target_modules: "+notALayer(module))
		}
	}
}

// notALayer says that modules cannot stand beside a module.
func notALayer(module string) string {
	return lastPart(module) +
		" as a LoRA layer is not supported, it can train in full only (modules_to_save, --train-also)"
}

// err joins what is not supported, as far as a line has room for it.
func (c *peftConfig) err() error {
	const most = 600 // bytes
	var b strings.Builder
	for i, reason := range c.unsupported {
		if i > 0 && b.Len()+len(reason) > most {
			fmt.Fprintf(&b, "; and %d more", len(c.unsupported)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(reason)
	}
	if b.Len() == 0 {
		return nil
	}
	return errors.New(b.String())
}

// UnsupportedPEFT lists everything for which LoadPEFT would refuse a PEFT adapter, as far as
// the text of its adapter_config.json tells.
func UnsupportedPEFT(text []byte) []string {
	c, err := parsePEFTConfig(text)
	if err != nil {
		return []string{err.Error()}
	}
	return c.unsupported
}

// chooses reports whether modules are to stand in a slot of a model. tied: its head is its embedding.
func (c *peftConfig) chooses(s slot, tied bool) bool {
	if s.beside != nil && c.targets.all { // means linear layers, and not the head
		return false
	}
	return c.adapts(s.name) || tied && s.name == embeddingModule && c.adapts(headModule)
}

// spelled is Config.Tokens of a model. tied: its head is its embedding.
func (c *peftConfig) spelled(tied bool) (entries []string, err error) {
	rows := map[string][]int32{}
	for _, t := range c.tokens {
		module := ""
		for _, name := range []string{embeddingModule, headModule} {
			if endsIn(name, t.module) {
				module = name
			}
		}
		if module == "" || rows[module] != nil {
			return nil, fmt.Errorf("field trainable_token_indices: want rows of embed_tokens and lm_head, got some of %s",
				quoted(t.module))
		}
		rows[module] = t.ids
	}
	if head := rows[headModule]; tied && head != nil {
		if !slices.Equal(rows[embeddingModule], head) {
			return nil, errors.New("field trainable_token_indices: want the same of lm_head and embed_tokens, which are " +
				"one weight in this model, got others")
		}
		delete(rows, headModule)
	}
	return append(spelledTokens(embeddingModule, rows[embeddingModule]), spelledTokens(headModule, rows[headModule])...),
		nil
}

// checkTied notes what PEFT itself is not sure of beside a model whose head is its embedding.
func (c *peftConfig) checkTied() {
	if c.targets.all || !c.adapts(embeddingModule) && !c.adapts(headModule) {
		return
	}
	if !c.tied {
		c.unsupported = append(c.unsupported, "field ensure_weight_tying: want true where embed_tokens or lm_head of a "+
			"model whose head is its embedding is among target_modules, got false: PEFT then computes one thing beside "+
			"the model and another merged into it")
	}
	r, alpha := c.of(embeddingModule)
	if headRank, headAlpha := c.of(headModule); r != headRank || alpha != headAlpha {
		c.unsupported = append(c.unsupported, "fields rank_pattern and alpha_pattern: want the same for embed_tokens "+
			"and lm_head of a model whose head is its embedding, got others")
	}
}

// adapts reports whether a layer is adapted.
func (c *peftConfig) adapts(name string) bool {
	switch {
	case c.replaces(name):
		return false
	case c.exclude.match(name, c.fence) || !c.targets.match(name, c.fence):
		return false
	case c.layers == nil || slices.Contains(c.targets.list, name): // a whole name goes before numbers
		return true
	}
	patterns := c.layersPattern
	if patterns == nil {
		patterns = []pattern{anyBlock}
	}
	for _, pattern := range patterns {
		if block, ok := pattern.group(name, "block", c.fence); ok {
			i, err := strconv.Atoi(block)
			return err == nil && slices.Contains(c.layers, i)
		}
	}
	return false
}

// replaces reports whether modules_to_save means a module, or one that it stands in. Ends
// of names need not begin at a dot there.
func (c *peftConfig) replaces(module string) bool {
	for name := peftPrefix + module; name != ""; name = moduleOf(name) {
		if slices.ContainsFunc(c.saves, func(end string) bool { return end != "" && strings.HasSuffix(name, end) }) {
			return true
		}
	}
	return false
}

// of is the rank and the alpha of a layer.
func (c *peftConfig) of(name string) (rank int, alpha float64) {
	first := func(patterns []peftPattern, otherwise float64) float64 {
		for _, p := range patterns {
			if p.match(name, c.fence) {
				return p.value
			}
		}
		return otherwise
	}
	return int(first(c.ranks, float64(c.rank))), first(c.alphas, c.alpha)
}

func (n peftNames) match(name string, f *fence) bool {
	if n.pattern != nil {
		return n.pattern.match(name, f)
	}
	return n.all || slices.ContainsFunc(n.list, func(s string) bool {
		return name == s || strings.HasSuffix(name, "."+s)
	})
}
