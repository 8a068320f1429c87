package multilora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
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
	"auto_mapping", "corda_config", "ensure_weight_tying", "eva_config", "fan_in_fan_out", "inference_mode", "loftq_config",
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

// field is one entry of a JSON object.
type field struct {
	key   string
	value json.RawMessage
}

// orderedObject gives the entries of a JSON object in their order; a key that comes twice
// is an error.
func orderedObject(text []byte) ([]field, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("got %s", got(text))
	}
	var fields []field
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("got %w", err)
		}
		var f field
		f.key, _ = t.(string) // Token lets nothing else be a key
		if seen[f.key] {
			return nil, fmt.Errorf("got field %s twice", quoted(f.key))
		}
		seen[f.key] = true
		if err := d.Decode(&f.value); err != nil {
			return nil, fmt.Errorf("got %w in field %s", err, quoted(f.key))
		}
		fields = append(fields, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("got %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("got more behind it")
	}
	return fields, nil
}

// got shortens what a hostile file may have made very long.
func got(value []byte) string {
	const most = 100
	if len(value) > most {
		return strings.ToValidUTF8(string(value[:most]), "") + "…"
	}
	return string(value)
}

func (f field) wrong(want string) error {
	return fmt.Errorf("field %.100s: want %s, got %s", f.key, want, got(f.value))
}

// empty reports null, false, "", [] and {}.
func (f field) empty() bool {
	var b bytes.Buffer
	if err := json.Compact(&b, f.value); err != nil {
		return false
	}
	return slices.Contains([]string{"null", "false", `""`, "[]", "{}"}, b.String())
}

// decode reads the value; null leaves v as it is.
func (f field) decode(v any, want string) error {
	if json.Unmarshal(f.value, v) != nil {
		return f.wrong(want)
	}
	return nil
}

func (f field) rank() (r int, err error) {
	if json.Unmarshal(f.value, &r) != nil || r < 1 || r > maxRank {
		return 0, f.wrong(fmt.Sprintf("a whole number from 1 to %d", maxRank))
	}
	return r, nil
}

func (f field) alpha() (a float64, err error) {
	if json.Unmarshal(f.value, &a) != nil || !(a > 0) || math.IsInf(a, 0) {
		return 0, f.wrong("a positive number")
	}
	return a, nil
}

// patterns reads an object of patterns and values. A pattern is that of a name's end,
// from a dot or the beginning on.
func (f field) patterns(value func(field) (float64, error)) ([]peftPattern, error) {
	if f.empty() {
		return nil, nil
	}
	fields, err := orderedObject(f.value)
	if err != nil {
		return nil, f.wrong("an object of patterns and numbers")
	}
	var patterns []peftPattern
	for _, entry := range fields {
		re, err := f.compile(`^(.*\.)?(` + entry.key + `)$`)
		if err != nil {
			return nil, err
		}
		v, err := value(field{f.key + ": " + entry.key, entry.value})
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, peftPattern{re, v})
	}
	return patterns, nil
}

// Counted repetitions make short patterns large programs: these limits keep those of one
// file below some 100 MB.
const (
	maxRepetitions = 16
	maxRepeated    = 200 // bytes of a pattern that has one
)

// repetitions counts them, or rather the braces in strings.
func repetitions(text []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		t, err := d.Token()
		if err != nil {
			return n
		}
		if s, ok := t.(string); ok {
			n += strings.Count(s, "{")
		}
	}
}

func (f field) compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxRepeated && strings.Contains(pattern, "{") {
		return nil, f.wrong(fmt.Sprintf("counted repetitions in patterns of at most %d bytes only", maxRepeated))
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, f.wrong(fmt.Sprintf("regular expressions that Go's regexp knows too (%.200s)", err))
	}
	return re, nil
}

// names reads a list of names' ends or one pattern of whole names.
func (f field) names() (n peftNames, err error) {
	var s string
	switch {
	case f.empty():
		return n, nil
	case json.Unmarshal(f.value, &n.list) == nil:
		return n, nil
	case json.Unmarshal(f.value, &s) != nil:
		return n, f.wrong("a list of names or a pattern")
	case f.key == "target_modules" && strings.EqualFold(s, AllLinear):
		return peftNames{all: true}, nil
	}
	re, err := f.compile(`^(?:` + s + `)$`)
	return peftNames{pattern: re}, err
}

// numbers reads a number or a list of them; empty means all.
func (f field) numbers() ([]int, error) {
	var one int
	var list []int
	switch {
	case f.empty():
		return nil, nil
	case json.Unmarshal(f.value, &one) == nil:
		return []int{one}, nil
	case json.Unmarshal(f.value, &list) == nil:
		return list, nil
	}
	return nil, f.wrong("a whole number or a list of them")
}

// anyBlock finds the first number in a name that stands between dots.
var anyBlock = regexp.MustCompile(`^.*?\.[^.]*\.(?P<block>\d+)\.`)

// layerPatterns reads the names that precede a block's number, one or a list.
func (f field) layerPatterns() ([]*regexp.Regexp, error) {
	if f.empty() {
		return nil, nil
	}
	var one string
	var list []string
	if json.Unmarshal(f.value, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(f.value, &list) != nil {
		return nil, f.wrong("a string or a list of strings")
	}
	var patterns []*regexp.Regexp
	for _, s := range list {
		re, err := f.compile(`^.*?\.` + s + `\.(?P<block>\d+)\.`)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, re)
	}
	return patterns, nil
}
