package multilora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// field is one entry of a JSON object.
type field struct {
	key   string
	value json.RawMessage
}

// orderedObject gives the entries of a JSON object in their order; a key that comes twice
// is an error.
func orderedObject(text []byte) ([]field, error) {
	members, err := strictjson.Members(text)
	if e, ok := errors.AsType[*strictjson.Error](err); ok {
		if e.Field == "" || e.Want == "JSON" {
			return nil, fmt.Errorf("want a JSON object, got %s (line %d)", e.Got, e.Line)
		}
		return nil, fmt.Errorf("field %.100s: want %s, got %s (line %d)", e.Field, e.Want, e.Got, e.Line)
	}
	fields := make([]field, len(members))
	for i, m := range members {
		fields[i] = field{m.Name, m.Value}
	}
	return fields, err
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

// empty reports whether a value is null, false, "", [] or {}.
func (f field) empty() bool {
	var b bytes.Buffer
	if err := json.Compact(&b, f.value); err != nil {
		return false
	}
	return slices.Contains([]string{"null", "false", `""`, "[]", "{}"}, b.String())
}

// decode reads the value; null leaves v as it is.
func (f field) decode(v any, want string) error {
	if strictjson.Unmarshal(f.value, v) != nil {
		return f.wrong(want)
	}
	return nil
}

// flag reads true or false; empty is false.
func (f field) flag(b *bool) error {
	if f.empty() {
		return nil
	}
	return f.decode(b, "true or false")
}

func (f field) rank() (r int, err error) {
	if strictjson.Unmarshal(f.value, &r) != nil || r < 1 || r > maxRank {
		return 0, f.wrong(fmt.Sprintf("a whole number from 1 to %d", maxRank))
	}
	return r, nil
}

func (f field) alpha() (a float64, err error) {
	if strictjson.Unmarshal(f.value, &a) != nil || !(a > 0) || math.IsInf(a, 0) {
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
		re, err := f.compile(`^(.*\.)?(`, entry.key, `)$`)
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

// names reads a list of names' ends or one pattern of whole names.
func (f field) names() (n peftNames, err error) {
	var s string
	switch {
	case f.empty():
		return n, nil
	case strictjson.Unmarshal(f.value, &n.list) == nil:
		return n, nil
	case strictjson.Unmarshal(f.value, &s) != nil:
		return n, f.wrong("a list of names or a pattern")
	case f.key == "target_modules" && strings.EqualFold(s, AllLinear):
		return peftNames{all: true}, nil
	}
	re, err := f.compile(`^(?:`, s, `)$`)
	if err != nil {
		return n, err
	}
	return peftNames{pattern: &re}, nil
}

// list reads a list of names.
func (f field) list() (names []string, err error) {
	return names, f.decode(&names, "a list of names")
}

// peftTokens are ids of tokens whose rows of a module, by the end of its name, are trained.
type peftTokens struct {
	module string
	ids    []int32
}

// tokens reads a list of ids, which are the embedding's, or an object of lists by module.
func (f field) tokens() (all []peftTokens, err error) {
	if f.empty() {
		return nil, nil
	}
	entries, err := orderedObject(f.value)
	if err != nil {
		entries = []field{{"embed_tokens", f.value}}
	}
	for _, entry := range entries {
		t := peftTokens{module: entry.key}
		if strictjson.Unmarshal(entry.value, &t.ids) != nil ||
			slices.ContainsFunc(t.ids, func(id int32) bool { return id < 0 }) {
			return nil, f.wrong("a list of token ids, or an object of such lists by module")
		}
		if len(t.ids) > 0 {
			all = append(all, t)
		}
	}
	return all, nil
}

// numbers reads a number or a list of them; empty means all.
func (f field) numbers() ([]int, error) {
	var one int
	var list []int
	switch {
	case f.empty():
		return nil, nil
	case strictjson.Unmarshal(f.value, &one) == nil:
		return []int{one}, nil
	case strictjson.Unmarshal(f.value, &list) == nil:
		return list, nil
	}
	return nil, f.wrong("a whole number or a list of them")
}

// anyBlock finds the first number in a name that stands between dots.
var anyBlock = pattern{linear: regexp.MustCompile(`^.*?\.[^.]*\.(?P<block>\d+)\.`)}

// layerPatterns reads the names that precede a block's number, one or a list.
func (f field) layerPatterns() ([]pattern, error) {
	if f.empty() {
		return nil, nil
	}
	var one string
	var list []string
	if strictjson.Unmarshal(f.value, &one) == nil {
		list = []string{one}
	} else if strictjson.Unmarshal(f.value, &list) != nil {
		return nil, f.wrong("a string or a list of strings")
	}
	var patterns []pattern
	for _, s := range list {
		re, err := f.compile(`^.*?\.`, s, `\.(?P<block>\d+)\.`)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, re)
	}
	return patterns, nil
}
