package data

import (
	"cmp"
	"slices"
	"strings"
)

// Fate is what became of a field of a row.
type Fate string

const (
	FateUsed Fate = "used"
	// FatePassedOver is that of an id or a source, which is not used.
	FatePassedOver Fate = "passed over"
	// FateRepeats is that of a field that says once more what the others say.
	FateRepeats Fate = "repeats the others"
	// FateEmpty is that of null, and of an empty string, list or object that nothing needs.
	FateEmpty Fate = "empty"
	// FateIgnored is that of a field that ReadOptions names.
	FateIgnored Fate = "ignored on request"
)

// Field is a field of rows, or of the messages in them, and what became of it.
type Field struct {
	Format Format `json:"format"`
	Name   string `json:"name"` // of a message's: messages[].role
	Fate   Fate   `json:"fate"`
	Count  int    `json:"count"` // of the rows or messages that had it
}

// harmless are the names of fields that are passed over: they say which row it is, where
// it is from, when it was written and in which language. Whatever stands there, the row
// means the same. What may be a part of it is not here, however often it is passed over
// elsewhere: a title belongs to its document, a category may be the answer, a split may
// say that the row is to be tested on, a score that it is a bad one, and a file may be
// a picture that a question is about.
var harmless = []string{
	"id", "_id", "ids", "idx", "index", "uid", "uuid", "guid",
	"row_id", "doc_id", "document_id", "example_id", "sample_id", "prompt_id", "question_id", "message_id", "turn_id",
	"conversation_id", "conversation_hash", "dialog_id", "dialogue_id",
	"source", "source_url", "data_source", "source_dataset", "dataset", "dataset_name", "url", "meta", "metadata",
	"timestamp", "created_at", "updated_at",
	"lang", "language",
}

// The fields of messages, turns and the parts of one; those of rows are in forms.
var (
	messageFields = []string{"role", "content", "weight", "tool_calls", "tool_call_id", "name", "reasoning_content",
		"reasoning", "thinking"}
	turnFields = []string{"from", "value", "weight"}
	partFields = []string{"type", "text"}
)

// fieldCounts gathers what became of the fields, in the order they were first seen.
type fieldCounts struct {
	all   []Field
	index map[Field]int // by all but Count
}

// mostFields bounds the different ones that are told apart: a file may make up names.
const mostFields = 1000

func (c *fieldCounts) add(f Format, name string, fate Fate) {
	key := Field{Format: f, Name: name, Fate: fate}
	i, ok := c.index[key]
	if !ok && len(c.all) >= mostFields {
		key.Name = "…"
		i, ok = c.index[key]
	}
	if !ok {
		if c.index == nil {
			c.index = map[Field]int{}
		}
		i = len(c.all)
		c.index[key] = i
		c.all = append(c.all, key)
	}
	c.all[i].Count++
}

// byForm orders fields by their form and their fate, else as they were first seen.
func byForm(all []Field) []Field {
	all = append([]Field{}, all...) // none are a list, too
	fates := []Fate{FateUsed, FateRepeats, FatePassedOver, FateIgnored, FateEmpty}
	slices.SortStableFunc(all, func(a, b Field) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Formats(), a.Format), slices.Index(Formats(), b.Format)),
			cmp.Compare(slices.Index(fates, a.Fate), slices.Index(fates, b.Fate)))
	})
	return all
}

// sameButCase is the first of names that is name in other letters.
func sameButCase(name string, names ...[]string) (string, bool) {
	for _, list := range names {
		for _, n := range list {
			if n != name && strings.EqualFold(n, name) {
				return n, true
			}
		}
	}
	return "", false
}
