package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// Any bytes are a model or an error; what is a model encodes and decodes anything.
func FuzzParseSentencePiece(f *testing.F) {
	small := modelFile{pieces: append(basic(), piece{"a", -1, normal}, piece{"▁a", 0, userDefined},
		piece{"aa", 0, unused})}
	f.Add(small.bytes(), "a aa é")
	f.Add(llama("a", "▁a").bytes(), "<s> a")
	small.modelType = 1
	f.Add(small.bytes(), "")
	f.Add([]byte{1<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0x7f}, "")
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		tok, err := parseSentencePiece(file, nil)
		if err != nil {
			return
		}
		for _, id := range tok.Encode(text) {
			if id < 0 || int(id) >= tok.VocabSize() {
				t.Fatalf("id %d of %d", id, tok.VocabSize())
			}
		}
		tok.Decode(tok.Encode(text))
	})
}

// The fast encoder is the plain one; a model with bytes and all spaces loses nothing.
func FuzzEncode(f *testing.F) {
	lossless := parse(f, llama("ab", "▁a", "aa", "▁▁", "a", "▁", "é", "bc"))
	ties := llama("ab", "a▁", "aa", "ba", "a", "▁", "é▁", "▁a")
	for i := range ties.pieces {
		ties.pieces[i].score = 0
	}
	ties.pieces = append(ties.pieces, piece{"aab", 0, userDefined}, piece{"b▁", 0, userDefined})
	ties.keepSpace = false
	second := parse(f, ties)
	f.Add("a ab  aab é ")
	f.Add("\xff\xe2\x96")
	f.Add("<s>▁<0x00>")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			return // the plain encoder is cubic
		}
		for _, tok := range []*SentencePiece{lossless, second} {
			if got, want := tok.Encode(text), slowEncode(tok, text); !slices.Equal(got, want) {
				t.Errorf("%q: got %v, want %v", text, got, want)
			}
		}
		want := []rune(validText([]byte(text)))
		for i, r := range want {
			if r == '▁' {
				want[i] = ' ' // the one character that SentencePiece cannot tell from a space
			}
		}
		if got := lossless.Decode(lossless.Encode(text)); got != string(want) {
			t.Errorf("decode(encode(%q)) = %q", text, got)
		}
	})
}

// Any bytes are a tokenizer.json or an error; what is one encodes and decodes anything.
func FuzzTokenizerJSON(f *testing.F) {
	for _, name := range []string{"bytes", "chars"} {
		f.Add(change(f, name, object{"model.vocab": object{"<unk>": 0, "a": 1, "b": 2, "ab": 3},
			"model.merges": []string{"a b"}, "model.byte_fallback": false}), "<unk>ab")
	}
	reference, err := os.ReadFile("testdata/reference.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	small := object{"type": "BPE", "vocab": object{"a": 0, "b": 1, "ab": 2, "▁": 3},
		"merges": []any{[]string{"a", "b"}}, "ignore_merges": true}
	for line := range bytes.Lines(reference) {
		var c struct {
			Base string
			Set  object
		}
		if err := json.Unmarshal(line, &c); err != nil {
			f.Fatal(err)
		}
		for field := range c.Set { // the parts that are not the model
			if strings.HasPrefix(field, "model.") || field == "added_tokens" {
				delete(c.Set, field)
			}
		}
		c.Set["model"] = small
		c.Set["added_tokens"] = []any{special(4, "<s>"),
			object{"id": 5, "content": "b b", "lstrip": true, "normalized": true}}
		f.Add(change(f, c.Base, c.Set), "<s> ab  b b\xff")
	}
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		tok, err := ParseJSON(file)
		if err != nil {
			return
		}
		checkIDs(t, tok, tok.Encode(text))
		checkIDs(t, tok, tok.EncodeParts(tok.SplitSpecial(text)))
	})
}

// Any bytes are a list of ranks or an error; a list loses no text.
func FuzzTiktoken(f *testing.F) {
	f.Add([]byte(ranks("ab", "abc", " a")), "abc a")
	f.Add([]byte(ranks()[:100]), "")
	f.Add([]byte("YQ== 0\r\n"), "a")
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		tok, err := parseTiktoken(file, nil)
		if err != nil {
			return
		}
		ids := tok.Encode(text)
		checkIDs(t, tok, ids)
		if got := tok.Decode(ids); got != validText([]byte(text)) {
			t.Errorf("decode(encode(%q)) = %q", text, got)
		}
	})
}

// checkIDs: ids are of the vocabulary, and streaming them gives what Decode gives.
func checkIDs(t *testing.T, tok Tokenizer, ids []int32) {
	t.Helper()
	var streamed strings.Builder
	d := NewDecoder(tok)
	for _, id := range ids {
		if id < 0 || int(id) >= tok.VocabSize() {
			t.Fatalf("id %d of %d", id, tok.VocabSize())
		}
		streamed.WriteString(d.Push(id))
	}
	streamed.WriteString(d.Flush())
	if got := tok.Decode(ids); got != streamed.String() {
		t.Errorf("%v: streamed %q, decoded %q", ids, streamed.String(), got)
	}
}

// The fast encoders are the plain one, and lose nothing; the splitters by hand are the
// patterns.
func FuzzBPE(f *testing.F) {
	kinds := threeKinds(f)
	f.Add("the thing's 123  aab\n\n")
	f.Add("\xff<s>日本é▁ ")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 || strings.Contains(text, "'") && strings.Contains(text, "ſ") {
			return // the plain encoder is cubic; the engine does not fold ſ
		}
		valid := validText([]byte(text))
		for name, tok := range kinds {
			got := tok.Encode(text)
			if want := slowBPE(tok, text); !slices.Equal(got, want) {
				t.Errorf("%s: %q: got %v, want %v", name, text, got, want)
			}
			checkIDs(t, tok, got)
			want := valid
			if name == "chars" {
				want = strings.ReplaceAll(valid, "▁", " ")
			}
			if back := tok.Decode(got); back != want {
				t.Errorf("%s: decode(encode(%q)) = %q", name, text, back)
			}
		}
		for source := range knownPatterns {
			if got, want := byHand(source, valid), byRegexp(t, source, valid); !slices.Equal(got, want) {
				t.Errorf("%s: %q: got %q, want %q", source, valid, got, want)
			}
		}
	})
}

// Streaming gives what Decode gives, and never anything but whole characters.
func FuzzDecode(f *testing.F) {
	tok := parse(f, llama("▁", "a", "é", "▁a"))
	f.Add([]byte{1, 3 + 0xe2, 3 + 0x9c, 3 + 0x93, 255, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var ids []int32
		for i := range b {
			ids = append(ids, int32(b[i])+int32(i%2)*8-1)
		}
		d := NewDecoder(tok)
		got := ""
		for _, id := range ids {
			got += d.Push(id)
		}
		if got += d.Flush(); got != tok.Decode(ids) {
			t.Errorf("%v: streamed %q, decoded %q", ids, got, tok.Decode(ids))
		}
	})
}
