package data

import (
	"bufio"
	"cmp"
	"fmt"
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
	// FormatCompletion is rows of prompt and completion, with nothing put around them, or of both as messages.
	FormatCompletion Format = "completion"
	// FormatChat is rows of messages with role and content, as OpenAI writes them, or of
	// conversations with from and value, as ShareGPT does.
	FormatChat Format = "chat"
	// FormatPreference is rows of a prompt and two answers to it, chosen and rejected.
	FormatPreference Format = "preference"
	// FormatLabeled is rows of a prompt, an answer and whether that is a desirable one.
	FormatLabeled Format = "labeled"
	// FormatText is documents: a file of text is one, and so is the field text of a row.
	FormatText Format = "text"
)

// form is a format as it is read.
type form struct {
	format  Format
	meaning string                       // in a few words
	tells   [][]string                   // FormatAuto takes rows that have all fields of one of these for this format
	fields  []string                     // that a row may have; others are errors, unless they are harmless
	parse   func(o *object) (Row, error) // a row of JSON; nil: there are none

	// Files whose name has one of the endings are read by read, and not as rows of JSON; so are
	// all but JSON where the format is given. It sets the Format of rows.
	endings []string
	read    func(r *bufio.Reader, add func(Row) error) error
}

// forms are all formats. FormatAuto tries them in this order: many sets have a text or a prompt
// beside what they are about.
var forms = []form{
	{format: FormatPreference, meaning: "prompt, chosen, rejected", parse: parsePreference,
		tells: [][]string{{"chosen", "rejected"}}, fields: []string{"prompt", "chosen", "rejected", "weight"}},
	{format: FormatLabeled, meaning: "prompt, completion, label", parse: parseLabeled,
		tells:  [][]string{{"prompt", "completion", "label"}, {"messages", "label"}},
		fields: []string{"prompt", "completion", "messages", "label", "weight"}},
	{format: FormatChat, meaning: "messages", parse: parseChat,
		tells:  [][]string{{"messages"}, {"conversations"}},
		fields: []string{"messages", "conversations", "system", "tools", "weight"}},
	{format: FormatAlpaca, meaning: "instruction, input, output", parse: parseAlpaca,
		tells:  [][]string{{"instruction", "output"}},
		fields: []string{"instruction", "input", "output", "system", "history", "weight"}},
	{format: FormatCompletion, meaning: "prompt, completion", parse: parseCompletion,
		tells: [][]string{{"prompt", "completion"}}, fields: []string{"prompt", "completion", "weight"}},
	{format: FormatText, meaning: "", parse: parseText,
		tells: [][]string{{"text"}}, fields: []string{"text", "weight"}, endings: []string{".txt"}, read: readDocument},
}

// form returns the row of forms; nil of FormatAuto.
func (f Format) form() *form {
	for i := range forms {
		if forms[i].format == f {
			return &forms[i]
		}
	}
	return nil
}

// Formats lists every Format, FormatAuto first.
func Formats() []Format {
	all := []Format{FormatAuto}
	for _, f := range forms {
		all = append(all, f.format)
	}
	return all
}

// Meaning returns what a row of the format has, in a few words; "": its name says it.
func (f Format) Meaning() string {
	if form := f.form(); form != nil {
		return form.meaning
	}
	return ""
}

// Validate returns an error for a format that is not one of Formats.
func (f Format) Validate() error { return oneOf("format", f, Formats()) }

// oneOf returns an error for a value that is none of those allowed.
func oneOf[T ~string](setting string, value T, allowed []T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s %.40q: want one of %v", setting, value, allowed)
}

// parse makes a Row, and sees to it that no field of it is lost.
func (r *rowReader) parse(o *object) (Row, error) {
	form := r.format.form()
	row, err := form.parse(o)
	if err != nil {
		return row, err
	}
	o.settle(form.fields)
	row.Format = r.format
	return row, r.lost()
}

// detect tells the format by a row's fields. Fields that hold nothing tell only where the
// others do not.
func detect(o *object) (Format, error) {
	for _, hollow := range []bool{false, true} {
		has := func(name string) bool {
			return !slices.Contains(o.row.ignore, name) &&
				slices.ContainsFunc(o.members, func(m strictjson.Member) bool {
					return m.Name == name && (hollow || string(m.Value) != "null" && !isHollow(m.Value))
				})
		}
		for _, form := range forms {
			for _, names := range form.tells {
				if !slices.ContainsFunc(names, func(name string) bool { return !has(name) }) {
					return form.format, nil
				}
			}
		}
	}
	var wanted []string
	for _, form := range forms {
		for _, names := range form.tells {
			wanted = append(wanted, strings.Join(names, " and "))
		}
	}
	last := len(wanted) - 1
	return "", &fault{o.at, fmt.Errorf("cannot tell the format: want the fields %s, or %s, got %s",
		strings.Join(wanted[:last], ", "), wanted[last], fieldsOf(o))}
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
		for _, form := range forms {
			if n, ok := sameButCase(m.Name, form.fields); ok {
				why = fmt.Sprintf(" (%q differs from %q by case only)", m.Name, n)
			}
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none") + why
}

// endings lists the endings of names that tell FormatAuto a format.
func endings() string {
	var all []string
	for _, form := range forms {
		all = append(all, form.endings...)
	}
	return strings.Join(all, " or ")
}

// ofFile returns the form that reads a file as a whole; nil: it is rows of JSON.
func ofFile(path string, f Format) *form {
	if _, table := separatorOf(path); table || columnReaderOf(path) != nil {
		return nil
	}
	ending := strings.ToLower(filepath.Ext(unpackedName(path)))
	for i, form := range forms {
		switch {
		case form.read == nil:
		case f == FormatAuto && slices.Contains(form.endings, ending):
			return &forms[i]
		case f == form.format && (form.parse == nil ||
			!slices.Contains([]string{".json", ".jsonl", ".ndjson"}, ending)):
			return &forms[i]
		}
	}
	return nil
}
