package data

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// Format is what the rows of a file are.
type Format string

const (
	// FormatAuto tells by the file's name and the fields of its first row.
	FormatAuto Format = "auto"
	// FormatAlpaca is rows of instruction, input (which may be missing) and output,
	// written into Stanford Alpaca's prompt.
	FormatAlpaca Format = "alpaca"
	// FormatCompletion is rows of prompt and completion, with nothing put around them.
	FormatCompletion Format = "completion"
	// FormatChat is rows of messages with role and content, as OpenAI writes them, or of
	// conversations with from and value, as ShareGPT does.
	FormatChat Format = "chat"
	// FormatText is documents: a file of text is one, and so is the field text of a row.
	FormatText Format = "text"
)

// Formats lists them all, FormatAuto first.
func Formats() []Format {
	return []Format{FormatAuto, FormatAlpaca, FormatCompletion, FormatChat, FormatText}
}

// Validate reports a format that there is not.
func (f Format) Validate() error { return oneOf("format", f, Formats()) }

// oneOf reports a value that is none of those allowed.
func oneOf[T ~string](setting string, value T, allowed []T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s %.40q: want one of %v", setting, value, allowed)
}

// parsers make a Row of the JSON object that it is in the file.
var parsers = map[Format]func(o *object) (Row, error){
	FormatAlpaca: parseAlpaca, FormatCompletion: parseCompletion, FormatChat: parseChat, FormatText: parseText,
}

// parse makes a Row, and sees to it that no field of it is lost.
func (r *rowReader) parse(o *object) (Row, error) {
	row, err := parsers[r.format](o)
	if err != nil {
		return row, err
	}
	o.settle(knownFields[r.format])
	row.Format = r.format
	return row, r.lost()
}

// detect tells the format by a row's fields. The first to fit counts: many sets have a
// text or a prompt beside what they are about. Fields that hold nothing tell only where
// the others do not.
func detect(o *object) (Format, error) {
	for _, hollow := range []bool{false, true} {
		has := func(names ...string) bool {
			for _, name := range names {
				if !slices.ContainsFunc(o.members, func(m strictjson.Member) bool {
					return m.Name == name && (hollow || string(m.Value) != "null" && !isHollow(m.Value)) && !slices.Contains(o.row.ignore, name)
				}) {
					return false
				}
			}
			return true
		}
		switch {
		case has("messages") || has("conversations"):
			return FormatChat, nil
		case has("instruction", "output"):
			return FormatAlpaca, nil
		case has("prompt", "completion"):
			return FormatCompletion, nil
		case has("text"):
			return FormatText, nil
		}
	}
	return "", &fault{o.at, fmt.Errorf("cannot tell the format: want the fields messages, conversations, instruction and output, prompt and completion, or text, got %s", fieldsOf(o))}
}

// fieldsOf lists the first fields of an object.
func fieldsOf(o *object) string {
	const most = 8
	var names []string
	why := ""
	for _, m := range o.members {
		if len(names) == most {
			names = append(names, "…")
			break
		}
		names = append(names, fmt.Sprintf("%.40q", m.Name))
		if slices.Contains(o.row.ignore, m.Name) {
			why = fmt.Sprintf(" (ignore-fields names %s)", m.Name)
		}
		if n, ok := sameButCase(m.Name, slices.Collect(maps.Values(knownFields))...); ok {
			why = fmt.Sprintf(" (%q differs from %q by case only)", m.Name, n)
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none") + why
}

// isDocument tells whether a file is one document of text, and no rows.
func isDocument(path string, f Format) bool {
	ext := strings.ToLower(filepath.Ext(unpackedName(path)))
	switch f {
	case FormatAuto:
		return ext == ".txt"
	case FormatText:
		return !slices.Contains([]string{".json", ".jsonl", ".ndjson"}, ext)
	}
	return false
}
