package data

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
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

// detect tells the format by a row's fields. The first to fit counts: many sets have a
// text or a prompt beside what they are about.
func detect(raw []byte) (f Format, line int, err error) {
	var has struct{ Messages, Conversations, Instruction, Output, Prompt, Completion, Text json.RawMessage }
	if line, err := unmarshal(raw, &has); err != nil {
		return "", line, err
	}
	switch {
	case has.Messages != nil || has.Conversations != nil:
		return FormatChat, 0, nil
	case has.Instruction != nil && has.Output != nil:
		return FormatAlpaca, 0, nil
	case has.Prompt != nil && has.Completion != nil:
		return FormatCompletion, 0, nil
	case has.Text != nil:
		return FormatText, 0, nil
	}
	return "", 0, fmt.Errorf("cannot tell the format: want the fields messages, conversations, instruction and output, prompt and completion, or text, got %s", fieldsOf(raw))
}

// fieldsOf lists the first fields of an object.
func fieldsOf(raw []byte) string {
	const most = 8
	var names []string
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token() // {
	for d.More() {
		if len(names) == most {
			names = append(names, "…")
			break
		}
		name, _ := d.Token() // raw is JSON, as detect has seen
		names = append(names, fmt.Sprintf("%.40q", name))
		var value json.RawMessage
		_ = d.Decode(&value)
	}
	return cmp.Or(strings.Join(names, ", "), "none")
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
