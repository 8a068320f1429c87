package llama

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/internal/strictjson"
)

// Error says which file, and which field or tensor of it, is wrong, what was wanted
// and what came.
type Error struct {
	File   string
	Field  string // of config.json, or
	Tensor string // of the weights; both may be empty
	Want   string
	Got    string
}

func (e *Error) Error() string {
	return fileerror.Message("llama", e.File, e.Want, e.Got,
		fileerror.Place{Name: e.Field}, fileerror.Place{Kind: "tensor", Name: e.Tensor})
}

// fields reads a JSON object field by field and keeps the first error. A field that is
// null is one that is not there.
type fields struct {
	file   string
	prefix string // of the field names in errors
	values map[string]json.RawMessage
	err    error
	all    *[]error // every error, of the objects inside as well
}

func parseFields(file string, text []byte) (*fields, error) {
	f := &fields{file: file, values: map[string]json.RawMessage{}, all: new([]error)}
	members, err := strictjson.Members(text)
	if e, ok := errors.AsType[*strictjson.Error](err); ok {
		wrong := &Error{File: file, Field: e.Field, Want: e.Want, Got: fmt.Sprintf("%s (line %d)", e.Got, e.Line)}
		if e.Want == "JSON" || e.Field == "" {
			wrong.Field, wrong.Want = "", "a JSON object"
		}
		return nil, wrong
	}
	for _, m := range members {
		f.values[m.Name] = m.Value
	}
	return f, err
}

// has reports whether the field is there.
func (f *fields) has(name string) bool {
	v, ok := f.values[name]
	return ok && !bytes.Equal(v, []byte("null"))
}

// get reads a field; false if it is not there or of another type.
func (f *fields) get(name, want string, into any) bool {
	if !f.has(name) {
		return false
	}
	if err := strictjson.Unmarshal(f.values[name], into); err != nil {
		f.fail(name, want, fileerror.Short(f.values[name]))
		return false
	}
	return true
}

func (f *fields) fail(name, want, got string) {
	err := &Error{File: f.file, Field: f.prefix + name, Want: want, Got: got}
	if f.err == nil {
		f.err = err
	}
	*f.all = append(*f.all, err)
}

func (f *fields) str(name, missing string) string {
	f.get(name, "a text", &missing)
	return missing
}

func (f *fields) flag(name string, missing bool) bool {
	f.get(name, "true or false", &missing)
	return missing
}

func (f *fields) number(name string, missing float64) float64 {
	f.get(name, "a number", &missing)
	return missing
}

// count is a number from 0 on.
func (f *fields) count(name string, missing int) int {
	if f.get(name, "a whole number", &missing) && (missing < 0 || missing > math.MaxInt32) {
		f.fail(name, "0 to 2147483647", fmt.Sprint(missing))
	}
	return missing
}

// size is a number from 1 on; it must be there unless missing says what it is then.
func (f *fields) size(name string, missing, most int) int {
	n := f.count(name, missing)
	_, given := f.values[name]
	if n >= 1 && n <= most && (!given || f.has(name)) {
		return n
	}
	got := fmt.Sprint(n)
	if !f.has(name) { // null is none, and no default
		got = "none"
	}
	f.fail(name, fmt.Sprintf("1 to %d", most), got)
	return 1
}

// sizeOrNull is a size that may be null, which has a meaning of its own; missing 0 means
// the same.
func (f *fields) sizeOrNull(name string, missing, null, most int) int {
	switch _, given := f.values[name]; {
	case f.has(name):
		return f.size(name, missing, most)
	case given || missing == 0:
		return null
	}
	return missing
}

// only accepts one value of a field that would change the model.
func only[T comparable](f *fields, name string, want T) {
	got := want
	if f.get(name, fmt.Sprintf("%#v", want), &got) && got != want {
		f.fail(name, fmt.Sprintf("%#v", want), fmt.Sprintf("%#v", got))
	}
}

// object reads a field that is an object itself; nil if it is not there.
func (f *fields) object(name string) *fields {
	o := &fields{file: f.file, prefix: f.prefix + name + ".", all: f.all}
	if !f.get(name, "an object", &o.values) {
		return nil
	}
	return o
}

// known refuses any field but these, unless it is null, false or empty.
func (f *fields) known(names ...string) {
	for name, v := range f.values {
		if !slices.Contains(names, name) && !slices.Contains([]string{"null", "false", `""`, "[]", "{}"}, string(v)) {
			f.fail(name, "no such field", fileerror.Short(v))
		}
	}
}

// ids is one token id or a list of them.
func (f *fields) ids(name string) []int32 {
	if !f.has(name) {
		return nil
	}
	var one int32
	if strictjson.Unmarshal(f.values[name], &one) == nil {
		return []int32{one}
	}
	var list []int32
	f.get(name, "a token id or a list of them", &list)
	return list
}
