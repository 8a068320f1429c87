package tokenizer

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// base is a small tokenizer.json of testdata: bytes, as LLaMA 3's, or chars, as LLaMA 2's.
func base(t testing.TB, name string) object {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file object
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// change is the base with some fields set; model.x is one of the model's.
func change(t testing.TB, name string, set object) []byte {
	t.Helper()
	file := base(t, name)
	for field, value := range set {
		if x, ok := strings.CutPrefix(field, "model."); ok {
			file["model"].(object)[x] = value
		} else {
			file[field] = value
		}
	}
	return encodeJSON(t, file)
}

// testdata/reference.jsonl has what Hugging Face's tokenizers 0.23.2 makes of variations
// of the two bases: ids with special tokens recognized, and the text of those ids
// without them.
func TestReference(t *testing.T) {
	b, err := os.ReadFile("testdata/reference.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(b) {
		var c struct {
			Name, Base string
			Set        object
			Vectors    []struct {
				Text    string
				IDs     []int32
				Decoded string
			}
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.Name, func(t *testing.T) {
			tok := parseJSON(t, change(t, c.Base, c.Set))
			for _, v := range c.Vectors {
				if got := tok.EncodeParts(tok.SplitSpecial(v.Text)); !slices.Equal(got, v.IDs) {
					t.Errorf("%q\ngot  %v\nwant %v", v.Text, got, v.IDs)
				}
				if got := tok.Decode(v.IDs); got != v.Decoded {
					t.Errorf("%v\ngot  %q\nwant %q", v.IDs, got, v.Decoded)
				}
				d := NewDecoder(tok)
				var streamed strings.Builder
				for _, id := range v.IDs {
					streamed.WriteString(d.Push(id))
				}
				streamed.WriteString(d.Flush())
				if streamed.String() != v.Decoded {
					t.Errorf("%v\nstreamed %q\nwant     %q", v.IDs, streamed.String(), v.Decoded)
				}
			}
		})
		n++
	}
	if n != 39 {
		t.Errorf("%d cases, want 39", n)
	}
}

// Whatever text says, it never becomes a special token.
func TestTextIsText(t *testing.T) {
	merged := base(t, "bytes")
	model := merged["model"].(object)
	vocab := maps.Clone(model["vocab"].(object))
	vocab["<s"], vocab["<s>"] = len(vocab)+2, len(vocab)+3 // merges that spell a special token
	model["vocab"] = vocab
	model["merges"] = append(model["merges"].([]any), []string{"<", "s"}, []string{"<s", ">"})
	model["ignore_merges"] = true
	merged["added_tokens"] = []any{special(vocab["<s>"].(int), "<s>")}

	for name, tok := range map[string]PartEncoder{
		"bytes":               parseJSON(t, change(t, "bytes", nil)),
		"chars":               parseJSON(t, change(t, "chars", nil)),
		"merges that make it": parseJSON(t, encodeJSON(t, merged)),
		"SentencePiece":       parse(t, llama("a", "<", "s", ">", "▁")),
	} {
		id, ok := tok.Special("<s>")
		if !ok {
			t.Fatalf("%s: <s> is not special", name)
		}
		for _, text := range []string{"<s>", "a <s>a", "<s><s>"} {
			if ids := tok.Encode(text); slices.Contains(ids, id) {
				t.Errorf("%s: %q became %v", name, text, ids)
			}
			if got := tok.Decode(tok.Encode(text)); got != text {
				t.Errorf("%s: %q came back as %q", name, text, got)
			}
			parts := tok.SplitSpecial(text)
			ids := tok.EncodeParts(parts)
			if !slices.Contains(ids, id) {
				t.Errorf("%s: the template %q became %v, want %d in it", name, text, ids, id)
			}
		}
		if got := tok.EncodeParts([]Part{{Text: "<s>"},
			{Special: true, ID: id, Text: "<s>"}}); got[len(got)-1] != id || slices.Contains(got[:len(got)-1], id) {
			t.Errorf("%s: a text and a token became %v", name, got)
		}
	}
}
