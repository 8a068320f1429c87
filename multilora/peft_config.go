package multilora

import (
	"fmt"
	"regexp"
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
	dropout float64

	// Ranks and alphas of layers that have others, in the file's order: the first pattern
	// that matches counts.
	ranks, alphas []peftPattern

	targets, exclude peftNames
	saves            []string         // ends of the names of modules that are trained in full
	tied             bool             // of a head that is the embedding too, the latter alone may be saved
	layers           []int            // numbers of the blocks that are adapted; nil: all
	layersPattern    []*regexp.Regexp // where a layer's name has the block's number
}

type peftPattern struct {
	*regexp.Regexp
	value float64
}

// peftNames is a list of names, a pattern of whole names, or all.
type peftNames struct {
	list    []string
	pattern *regexp.Regexp
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

// parsePEFTConfig reads the text of an adapter_config.json. A field that would change
// what the adapter computes, and is not known here, is an error.
func parsePEFTConfig(text []byte) (*peftConfig, error) {
	fields, err := orderedObject(text)
	if err != nil {
		return nil, fmt.Errorf("want a JSON object, %w", err)
	}
	if n := repetitions(text); n > maxRepetitions {
		return nil, fmt.Errorf("want at most %d counted repetitions in patterns, got %d", maxRepetitions, n)
	}
	c := &peftConfig{rank: 8, alpha: 8, targets: peftNames{list: []string{"q_proj", "v_proj"}}} // PEFT's defaults for the LLaMA family
	isLoRA, layersSet := false, ""
	for _, f := range fields {
		switch f.key {
		case "peft_type":
			var s string
			if err = f.decode(&s, `"LORA"`); err == nil && s != "LORA" {
				err = f.wrong(`"LORA"`)
			}
			isLoRA = true
		case "base_model_name_or_path":
			err = f.decode(&c.base, "a string")
		case "r":
			c.rank, err = f.rank()
		case "lora_alpha":
			c.alpha, err = f.alpha()
		case "use_rslora":
			err = f.decode(&c.rsLoRA, "true or false")
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
					err = f.wrong("a beginning that leaves the base model's weights alone (let PEFT convert the adapter)")
				}
			}
		case "bias":
			if string(f.value) != `"none"` && !f.empty() {
				err = f.wrong(`"none"`)
			}
		default:
			if !slices.Contains(harmless, f.key) && !f.empty() {
				err = f.wrong("null, false or empty: it may change what the adapter computes, and is not known here")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case !isLoRA:
		return nil, fmt.Errorf(`field peft_type: want "LORA", got none`)
	case layersSet != "" && c.targets.list == nil:
		return nil, fmt.Errorf("field %s: want null beside a target_modules that is one string, got a list or number", layersSet)
	}
	return c, nil
}

// adapts reports whether a layer is adapted.
func (c *peftConfig) adapts(name string) bool {
	switch {
	case c.replaces(name):
		return false
	case c.exclude.match(name) || !c.targets.match(name):
		return false
	case c.layers == nil || slices.Contains(c.targets.list, name): // a whole name goes before numbers
		return true
	}
	patterns := c.layersPattern
	if patterns == nil {
		patterns = []*regexp.Regexp{anyBlock}
	}
	for _, pattern := range patterns {
		if m := pattern.FindStringSubmatch(name); m != nil {
			i, err := strconv.Atoi(m[pattern.SubexpIndex("block")])
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
			if p.MatchString(name) {
				return p.value
			}
		}
		return otherwise
	}
	return int(first(c.ranks, float64(c.rank))), first(c.alphas, c.alpha)
}

func (n peftNames) match(name string) bool {
	if n.pattern != nil {
		return n.pattern.MatchString(name)
	}
	return n.all || slices.ContainsFunc(n.list, func(s string) bool { return name == s || strings.HasSuffix(name, "."+s) })
}
