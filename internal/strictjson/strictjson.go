// Package strictjson reads JSON so that nothing in it is passed over or taken for something
// else: names are case-sensitive, a name given twice in one object is an error, and so is
// text that is not UTF-8, half a surrogate pair included. encoding/json takes the last of
// "Completion" and "completion", and U+FFFD for what is no text.
//
// The arithmetic of RFC 8259 is github.com/go-json-experiment/json's, the module from which
// Go's encoding/json/v2 is made; this package says what is wrong in this project's words.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Error is what is wrong in a JSON text, and where.
type Error struct {
	Field  string // the way to it: messages[2].content; "" for the whole
	Offset int    // bytes before it
	Line   int    // of it, from 1
	Want   string
	Got    string
}

func (e *Error) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: want %s, got %s", e.Line, e.Want, e.Got)
	}
	return fmt.Sprintf("line %d: field %s: want %s, got %s", e.Line, e.Field, e.Want, e.Got)
}

// byteOrderMark is what some programs, above all on Windows, put before UTF-8 text.
var byteOrderMark = []byte("\ufeff")

// Unmarshal reads one JSON value into v, as encoding/json's tags of v say. Members that v
// has no field for are passed over, but for a name that comes twice; a byte order mark in
// front is no part of the text. An error is an *Error.
func Unmarshal(text []byte, v any) error { return unmarshal(text, v) }

// UnmarshalKnown is Unmarshal with an error for a member that v has no field for.
func UnmarshalKnown(text []byte, v any) error {
	return unmarshal(text, v, json.RejectUnknownMembers(true))
}

func unmarshal(text []byte, v any, options ...json.Options) error {
	body := bytes.TrimPrefix(text, byteOrderMark)
	err := json.Unmarshal(body, v, options...)
	if err == nil {
		return nil
	}
	return explain(text, len(text)-len(body), err)
}

// Check returns an error for the first thing that is wrong in a JSON text, whatever it holds.
func Check(text []byte) error {
	var v jsontext.Value
	return Unmarshal(text, &v)
}

// Member is one entry of an object.
type Member struct {
	Name   string
	Value  []byte // JSON, a part of the text
	Offset int    // bytes of the text before Value
}

// Members gives the entries of an object in their order.
func Members(text []byte) (all []Member, err error) {
	err = walk(text, '{', "an object", func(d *jsontext.Decoder, value func() ([]byte, int)) {
		name, _ := d.ReadToken() // all of it was checked
		m := Member{Name: name.String()}
		m.Value, m.Offset = value()
		all = append(all, m)
	})
	return all, err
}

// Item is one entry of a list.
type Item struct {
	Value  []byte // JSON, a part of the text
	Offset int    // bytes of the text before Value
}

// Items gives the entries of a list in their order.
func Items(text []byte) (all []Item, err error) {
	err = walk(text, '[', "a list", func(_ *jsontext.Decoder, value func() ([]byte, int)) {
		var x Item
		x.Value, x.Offset = value()
		all = append(all, x)
	})
	return all, err
}

// walk checks text and calls entry for each that an object or list has; value reads one
// with its offset.
func walk(text []byte, kind jsontext.Kind, want string,
	entry func(d *jsontext.Decoder, value func() ([]byte, int))) error {
	if err := Check(text); err != nil {
		return err
	}
	body := bytes.TrimPrefix(text, byteOrderMark)
	skipped := len(text) - len(body)
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if d.PeekKind() != kind {
		return &Error{Line: 1, Want: want, Got: kindName(d.PeekKind())}
	}
	_, _ = d.ReadToken()
	for d.PeekKind() != kind+2 { // } is two behind {, and ] behind [
		entry(d, func() ([]byte, int) {
			value, _ := d.ReadValue()
			to := int(d.InputOffset())
			return body[to-len(value) : to : to], to - len(value) + skipped
		})
	}
	return nil
}

func explain(text []byte, skipped int, err error) error {
	e := &Error{Want: "JSON", Got: err.Error()}
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		e.Offset, e.Field = int(s.ByteOffset), fieldOf(s.JSONPointer)
		switch cause := fmt.Sprint(s.Err); {
		case errors.Is(s.Err, jsontext.ErrDuplicateName):
			e.Want, e.Got = "each name once", "it twice"
		case strings.Contains(cause, "surrogate"):
			e.Want, e.Got = "text", "half a surrogate pair"
		case strings.Contains(cause, "UTF-8"):
			e.Want, e.Got = "text in UTF-8", "other bytes"
			for e.Offset > 0 && utf8.Valid(text[:min(e.Offset+skipped, len(text))]) && e.Offset+skipped < len(text) {
				e.Offset++
			}
		case strings.Contains(cause, "EOF"):
			e.Got = "its end"
		default:
			e.Got = cause
			if name := pythonNumber(text, min(e.Offset+skipped, len(text))); name != "" {
				e.Want, e.Got = "a number of JSON", name+", which Python's json module writes"
			}
		}
	} else if s, ok := errors.AsType[*json.SemanticError](err); ok {
		e.Offset, e.Field = int(s.ByteOffset), fieldOf(s.JSONPointer)
		e.Got = kindName(s.JSONKind)
		switch {
		case errors.Is(s.Err, json.ErrUnknownName):
			e.Want, e.Got = "a known name", "another"
		case s.GoType != nil:
			e.Want = typeName(s.GoType)
			if s.JSONKind == '0' {
				e.Got = "the number " + short(numberAt(text[min(e.Offset+skipped, len(text)):]))
			}
		}
		if inner, ok := errors.AsType[*Error](s.Err); ok { // of a type with an UnmarshalJSON of its own
			e.Want, e.Got = inner.Want, inner.Got
		} else if s.Err != nil && s.GoType != nil && !errors.Is(s.Err, json.ErrUnknownName) && len(s.JSONValue) == 0 {
			e.Got += fmt.Sprintf(" (%v)", s.Err)
		}
	}
	e.Offset += skipped
	e.Line = 1 + bytes.Count(text[:min(max(e.Offset, 0), len(text))], []byte("\n"))
	return e
}

// pythonNumber is the name at a place of a text, a sign before it included, that Python's
// json.dump writes for what JSON has no number for; "" for none.
func pythonNumber(text []byte, at int) string {
	sign := ""
	if at > 0 && text[at-1] == '-' {
		sign = "-"
	}
	for _, name := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text[at:], []byte(name)) {
			return sign + name
		}
	}
	return ""
}

// numberAt is the number that follows.
func numberAt(text []byte) []byte {
	text = bytes.TrimLeft(text, " \t\r\n:,")
	return text[:len(text)-len(bytes.TrimLeft(text, "+-.0123456789eE"))]
}

func short(v []byte) string {
	const most = 40
	if len(v) > most {
		return string(bytes.ToValidUTF8(v[:most], nil)) + "…"
	}
	return string(v)
}

// fieldOf writes a JSON pointer as Go and Python do: a[2].b.
func fieldOf(p jsontext.Pointer) string {
	const most = 200 // bytes: a hostile name may be long
	var b strings.Builder
	for token := range p.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			fmt.Fprintf(&b, "[%s]", token)
		case b.Len() == 0:
			b.WriteString(token)
		default:
			b.WriteString("." + token)
		}
		if b.Len() > most {
			return strings.ToValidUTF8(b.String()[:most], "") + "…"
		}
	}
	return b.String()
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "a list"
	}
	return "something else"
}

func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number of %d bits", t.Bits())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "an object"
}
