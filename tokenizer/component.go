package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// A part of tokenizer.json is an object with a type; Sequence holds more of its kind.
// Nothing in it is skipped: a type or an option that is not known could change ids, so
// it is an error that names it.

const (
	maxNesting  = 8    // Sequences in one another; real files have one
	maxSequence = 64   // parts of one Sequence
	maxGrowth   = 64.0 // how many times longer all replacements together may make a text
)

// sequenceOf gives the parts of a kind as a flat list: none for null, one, or those of
// a Sequence, whose list is called list. Each comes with the name of its field.
func sequenceOf(raw json.RawMessage, field, list string,
	visit func(kind, field string, raw json.RawMessage) error) error {
	return sequence(raw, field, list, 0, visit)
}

func sequence(raw json.RawMessage, field, list string, depth int,
	visit func(kind, field string, raw json.RawMessage) error) error {
	if isNull(raw) {
		return nil
	}
	var part struct {
		Type *string `json:"type"`
	}
	if err := strictjson.Unmarshal(raw, &part); err != nil || part.Type == nil {
		return fmt.Errorf("%s: want an object with a type, got %.60s", field, raw)
	}
	if *part.Type != "Sequence" {
		return visit(*part.Type, field, raw)
	}
	var seq map[string]json.RawMessage
	if err := strictjson.Unmarshal(raw, &seq); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	var parts []json.RawMessage
	if err := strictjson.Unmarshal(seq[list], &parts); err != nil || len(seq) != 2 {
		return fmt.Errorf("%s: want a Sequence of type and %s, got %.60s", field, list, raw)
	}
	if depth >= maxNesting || len(parts) > maxSequence {
		return fmt.Errorf("%s: want at most %d parts, and %d Sequences in one another, got %d at depth %d", field,
			maxSequence, maxNesting, len(parts), depth+1)
	}
	for i, p := range parts {
		if isNull(p) {
			return fmt.Errorf("%s.%s[%d]: want an object with a type, got null", field, list, i)
		}
		if err := sequence(p, fmt.Sprintf("%s.%s[%d]", field, list, i), list, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

func isNull(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || string(raw) == "null"
}

// plain is a part without options.
type plain struct {
	Type string `json:"type"`
}

// strict decodes raw into v, which must have a field for everything in it.
func strict(raw json.RawMessage, field string, v any) error {
	return inField(field, strictjson.UnmarshalKnown(raw, v))
}

// inField says where in the whole file an error about a part of it is. The line counts in
// that part and is left out.
func inField(field string, err error) error {
	e, ok := errors.AsType[*strictjson.Error](err)
	if !ok {
		return err
	}
	if e.Field != "" {
		field += "." + e.Field
	}
	return fmt.Errorf("%s: want %s, got %s", field, e.Want, e.Got)
}

// unsupported is the error for a type that is not one of those known.
func unsupported(field, kind string, known ...string) error {
	slices.Sort(known)
	return fmt.Errorf("%s.type: want %s or Sequence, got %.40q", field, strings.Join(known, ", "), kind)
}

// growth multiplies how much longer a text may become.
type growth float64

func (g *growth) replace(field string, p *pattern, content string) error {
	least := max(1, len(p.literal))
	*g = max(1, *g) * growth(max(1, float64(len(content))/float64(least)))
	if *g > maxGrowth {
		return fmt.Errorf("%s.content: want replacements that make a text at most %v times as long, got %.40q", field,
			maxGrowth, content)
	}
	return nil
}
