package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/internal/strictjson"
)

// jsonParser walks JSON token by token: encoding/json would overwrite duplicate keys
// in silence, and its maps would lose what is not asked for.
type jsonParser struct {
	*json.Decoder
	file string
}

// isText returns an error for what the parser would read as something else, or has no good words
// for: half
// a surrogate pair in a name, and numbers that only Python writes.
func isText(b []byte) error {
	e, ok := errors.AsType[*strictjson.Error](strictjson.Check(b))
	if ok && (strings.HasPrefix(e.Want, "text") || strings.HasPrefix(e.Want, "a number")) {
		return &Error{Want: e.Want + " in field " + fileerror.Quote(e.Field),
			Got: fmt.Sprintf("%s (line %d)", e.Got, e.Line)}
	}
	return nil
}

func newJSONParser(file string, b []byte) jsonParser {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return jsonParser{d, file}
}

// object calls field for each key; field reads the value.
func (p jsonParser) object(field func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.More() {
		key, err := p.str()
		if err != nil {
			return err
		}
		if seen[key] {
			return &Error{Want: "each key once", Got: fileerror.Quote(key) + " twice"}
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

// ints reads an array of whole numbers that are not negative; never nil without error.
func (p jsonParser) ints() ([]int, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	v := []int{}
	for p.More() {
		t, err := p.next()
		if err != nil {
			return nil, err
		}
		s, ok := t.(json.Number)
		n, bad := strconv.ParseInt(string(s), 10, strconv.IntSize)
		if !ok || bad != nil || n < 0 {
			return nil, &Error{Want: "whole numbers of at most 63 bits", Got: tokenString(t)}
		}
		v = append(v, int(n))
	}
	return v, p.delim(']')
}

func (p jsonParser) str() (string, error) {
	t, err := p.next()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", &Error{Want: "a string", Got: tokenString(t)}
	}
	return s, nil
}

func (p jsonParser) delim(want json.Delim) error {
	t, err := p.next()
	if err != nil {
		return err
	}
	if t != want {
		return &Error{Want: want.String(), Got: tokenString(t)}
	}
	return nil
}

// skip passes over one value of any kind.
func (p jsonParser) skip() error {
	var v json.RawMessage
	if err := p.Decode(&v); err != nil {
		return &Error{Want: "a JSON value", Got: err.Error()}
	}
	return nil
}

// end makes sure that only white space follows.
func (p jsonParser) end() error {
	at := p.InputOffset()
	if _, err := p.Token(); err != io.EOF {
		return &Error{Want: "nothing behind the JSON object", Got: fmt.Sprintf("more at byte %d", at)}
	}
	return nil
}

func (p jsonParser) next() (json.Token, error) {
	t, err := p.Token()
	if err != nil {
		return nil, &Error{Want: "JSON", Got: fmt.Sprintf("%v at byte %d", err, p.InputOffset())}
	}
	return t, nil
}

func tokenString(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case string:
		return fileerror.Quote(t)
	default:
		return fileerror.Quote(fmt.Sprint(t))
	}
}
