package train

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// value is the field of a Config behind a setting. There is one implementation for a kind of
// fields, and nothing else knows them.
type value interface {
	String() string                    // as set takes it
	kind() string                      // for readers: string, list, number, int or bool
	initial() string                   // the default, as String is it
	reset()                            // makes it the default
	set(text string, again bool) error // again: a list has been set before, and grows
	setNode(node ast.Node) error       // by what stands in a YAML file
	yaml() (string, error)             // the value on one line of YAML
	take(other value)                  // copies a value of the same kind
	field() any                        // the pointer to the field
}

// number is a value that has bounds.
type number interface {
	value
	float() float64
}

// scalar is a value that a single word spells.
type scalarValue[T comparable] struct {
	at       *T
	standard T
	name     string // see kind
	want     string // what parse takes
	parse    func(text string) (T, error)
	format   func(x T) string
}

func (v *scalarValue[T]) String() string        { return v.format(*v.at) }
func (v *scalarValue[T]) kind() string          { return v.name }
func (v *scalarValue[T]) initial() string       { return v.format(v.standard) }
func (v *scalarValue[T]) reset()                { *v.at = v.standard }
func (v *scalarValue[T]) yaml() (string, error) { return v.String(), nil }
func (v *scalarValue[T]) take(other value)      { *v.at = *other.field().(*T) }
func (v *scalarValue[T]) field() any            { return v.at }

func (v *scalarValue[T]) set(text string, _ bool) error {
	x, err := v.parse(text)
	if err != nil {
		return fmt.Errorf("want %s, got %q", v.want, text)
	}
	*v.at = x
	return nil
}

func (v *scalarValue[T]) setNode(node ast.Node) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	return v.set(text, false)
}

func boolean(at *bool) value {
	return &scalarValue[bool]{at, false, "bool", "true or false", strconv.ParseBool, strconv.FormatBool}
}

// autoDType is the dtype that leaves quantized weights as they are stored, and makes others f32.
const autoDType = "auto"

// dtypeValue is a type of weights; auto is f32 and a second field.
type dtypeValue struct {
	scalarValue[tensor.DType]
	stored *bool
}

func dtype(at *tensor.DType, stored *bool) value {
	return &dtypeValue{scalarValue[tensor.DType]{at, tensor.F32, "string", "", tensor.ParseDType, tensor.DType.String}, stored}
}

func dtypeChoices() []string {
	all := []string{autoDType}
	for _, dt := range tensor.WeightTypes() {
		all = append(all, dt.String())
	}
	return all
}

func (v *dtypeValue) initial() string { return autoDType }
func (v *dtypeValue) reset()          { *v.at, *v.stored = tensor.F32, true }

func (v *dtypeValue) String() string {
	if *v.stored && *v.at == tensor.F32 {
		return autoDType
	}
	return v.scalarValue.String()
}

func (v *dtypeValue) yaml() (string, error) { return v.String(), nil }

func (v *dtypeValue) take(other value) {
	v.scalarValue.take(other)
	*v.stored = *other.(*dtypeValue).stored
}

func (v *dtypeValue) set(text string, _ bool) error {
	if text == autoDType {
		v.reset()
		return nil
	}
	*v.stored = text != tensor.F32.String() // which is another than auto
	v.want = alternatives(dtypeChoices())
	return v.scalarValue.set(text, false)
}

func (v *dtypeValue) setNode(node ast.Node) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	return v.set(text, false)
}

type textValue[T ~string] struct{ scalarValue[T] }

func (v *textValue[T]) yaml() (string, error) { return quote(v.String()) }

func text[T ~string](at *T, standard T) value {
	return &textValue[T]{scalarValue[T]{at, standard, "string", "",
		func(text string) (T, error) { return T(text), nil }, func(x T) string { return string(x) }}}
}

// dateValue is a text that templates are told as the time.
type dateValue struct{ textValue[string] }

func date(at *string) value { return &dateValue{*text(at, "").(*textValue[string])} }

func (v *dateValue) valid() error {
	if *v.at == "" {
		return nil
	}
	_, err := chat.ParseDate(*v.at)
	return err
}

type numberValue[T int | uint64 | float64] struct{ scalarValue[T] }

func (v *numberValue[T]) float() float64 { return float64(*v.at) }

func whole(at *int, standard int) value {
	return &numberValue[int]{scalarValue[int]{at, standard, "int", "a whole number", strconv.Atoi, strconv.Itoa}}
}

func natural(at *uint64, standard uint64) value {
	return &numberValue[uint64]{scalarValue[uint64]{at, standard, "int", "a whole number of at least 0",
		func(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) },
		func(x uint64) string { return strconv.FormatUint(x, 10) }}}
}

func real(at *float64, standard float64) value {
	return &numberValue[float64]{scalarValue[float64]{at, standard, "number", "a number",
		func(text string) (float64, error) { return strconv.ParseFloat(text, 64) },
		func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }}}
}

// listValue is a list of words.
type listValue struct {
	at       *[]string
	standard []string
}

func texts(at *[]string, standard ...string) value { return &listValue{at, standard} }

func (v *listValue) String() string   { return strings.Join(*v.at, ",") }
func (v *listValue) kind() string     { return "list" }
func (v *listValue) initial() string  { return strings.Join(v.standard, ",") }
func (v *listValue) reset()           { *v.at = slices.Clone(v.standard) }
func (v *listValue) take(other value) { *v.at = slices.Clone(*other.field().(*[]string)) }
func (v *listValue) field() any       { return v.at }

func (v *listValue) set(text string, again bool) error {
	if !again {
		*v.at = nil
	}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*v.at = append(*v.at, item)
		}
	}
	return nil
}

// setNode takes a list, or a word, which is then all of it.
func (v *listValue) setNode(node ast.Node) error {
	items := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		items = sequence.Values
	}
	var all []string
	for _, item := range items {
		text, err := scalar(item)
		if err != nil {
			return err
		}
		if text != "" || item != node {
			all = append(all, text)
		}
	}
	*v.at = all
	return nil
}

func (v *listValue) yaml() (string, error) { return yamlList(*v.at, quote) }

// same reports whether two lists have the same words, in any order.
func (v *listValue) same(other value) bool {
	return slices.Equal(slices.Sorted(slices.Values(*v.at)), slices.Sorted(slices.Values(*other.field().(*[]string))))
}

// yamlList writes a list on one line of YAML.
func yamlList[T any](list []T, write func(T) (string, error)) (string, error) {
	all := make([]string, len(list))
	for i, x := range list {
		var err error
		if all[i], err = write(x); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(all, ", ") + "]", nil
}

// partsValue is the data: a list whose entries are words or mappings.
type partsValue struct{ at *[]Part }

func (v *partsValue) kind() string          { return "list" }
func (v *partsValue) initial() string       { return "" }
func (v *partsValue) reset()                { *v.at = nil }
func (v *partsValue) take(other value)      { *v.at = slices.Clone(*other.field().(*[]Part)) }
func (v *partsValue) field() any            { return v.at }
func (v *partsValue) yaml() (string, error) { return yamlList(*v.at, Part.yaml) }

func (v *partsValue) String() string {
	all := make([]string, len(*v.at))
	for i, p := range *v.at {
		all[i] = p.String()
	}
	return strings.Join(all, ",")
}

func (v *partsValue) set(text string, again bool) error {
	if !again {
		*v.at = nil
	}
	items := []string{text} // a task in braces has commas of its own
	if !strings.HasPrefix(text, "{") {
		items = strings.Split(text, ",")
	}
	for _, item := range items {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		p, err := parsePart(item)
		if err != nil {
			return err
		}
		*v.at = append(*v.at, p)
	}
	return nil
}

// setNode takes a list of entries, or one of them.
func (v *partsValue) setNode(node ast.Node) error {
	items := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		items = sequence.Values
	}
	*v.at = nil
	for _, item := range items {
		p, err := nodePart(item)
		if err != nil {
			return err
		}
		if len(items) > 1 || p.Paths[0] != "" {
			*v.at = append(*v.at, p)
		}
	}
	return nil
}
