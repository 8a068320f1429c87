package data

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
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

// parser makes a Row of the JSON object that it is in the file. Where it cannot, line
// is the line within raw at which it gave up, from 0.
type parser func(raw []byte) (r Row, line int, err error)

var parsers = map[Format]parser{
	FormatAlpaca: parseAlpaca, FormatCompletion: parseCompletion, FormatChat: parseChat, FormatText: parseText,
}

// signs are the fields by which FormatAuto knows a format, the first to fit first: many
// sets have a text or a prompt beside what they are about.
var signs = []struct {
	format Format
	fields []string
}{
	{FormatChat, []string{"messages"}},
	{FormatChat, []string{"conversations"}},
	{FormatAlpaca, []string{"instruction", "output"}},
	{FormatCompletion, []string{"prompt", "completion"}},
	{FormatText, []string{"text"}},
}

// detect tells the format by a row's fields.
func detect(raw []byte) (f Format, line int, err error) {
	var fields map[string]json.RawMessage
	if line, err := unmarshal(raw, &fields); err != nil {
		return "", line, err
	}
	for _, s := range signs {
		if !slices.ContainsFunc(s.fields, func(name string) bool { _, ok := fields[name]; return !ok }) {
			return s.format, 0, nil
		}
	}
	return "", 0, fmt.Errorf("cannot tell the format: want the fields %s, got %s", signsInWords(), namesInWords(fields))
}

func signsInWords() string {
	var all []string
	for _, s := range signs {
		all = append(all, strings.Join(s.fields, " and "))
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

func namesInWords(fields map[string]json.RawMessage) string {
	const most = 8
	names := slices.Sorted(maps.Keys(fields))
	var words []string
	for _, name := range names[:min(most, len(names))] {
		words = append(words, fmt.Sprintf("%.40q", name))
	}
	if len(names) > most {
		words = append(words, fmt.Sprintf("%d more", len(names)-most))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
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
