package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

// object is JSON in the making.
type object = map[string]any

func encodeJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func special(id int, content string) object {
	return object{"id": id, "content": content, "special": true, "normalized": false, "single_word": false,
		"lstrip": false, "rstrip": false}
}

// beginWith is the post-processor that puts one token in front.
func beginWith(id int, name string) object {
	sequence := object{"Sequence": object{"id": "A", "type_id": 0}}
	token := object{"SpecialToken": object{"id": name, "type_id": 0}}
	return object{
		"type": "TemplateProcessing", "single": []any{token, sequence}, "pair": []any{token, sequence},
		"special_tokens": object{name: object{"id": name, "ids": []int{id}, "tokens": []string{name}}},
	}
}

// llama2JSON is the SentencePiece model of LLaMA 2 as tokenizer.json has it: every way
// to make a piece of two others is a merge, the best scores first. modern is the form
// with Metaspace, in which files are written today.
func llama2JSON(t testing.TB, sp *SentencePiece, modern bool) []byte {
	t.Helper()
	type way struct {
		l, r  string
		score float32
	}
	var ways []way
	vocab := map[string]int32{}
	for id, p := range sp.pieces {
		vocab[p.text] = int32(id)
	}
	for _, p := range sp.pieces {
		if p.kind != normal {
			continue
		}
		var local []way
		for i := range p.text {
			l, r := p.text[:i], p.text[i:]
			if _, ok := vocab[l]; !ok {
				continue
			}
			if _, ok := vocab[r]; ok {
				local = append(local, way{l, r, p.score})
			}
		}
		slices.SortStableFunc(local, func(a, b way) int {
			return cmp.Or(cmp.Compare(vocab[a.l], vocab[b.l]), cmp.Compare(vocab[a.r], vocab[b.r]))
		})
		ways = append(ways, local...)
	}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(b.score, a.score) })
	merges := make([]any, len(ways))
	for i, w := range ways {
		merges[i] = w.l + " " + w.r
		if modern {
			merges[i] = []string{w.l, w.r}
		}
	}
	file := object{
		"version":        "1.0",
		"added_tokens":   []any{special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")},
		"pre_tokenizer":  nil,
		"post_processor": beginWith(1, "<s>"),
		"normalizer": object{"type": "Sequence", "normalizers": []any{
			object{"type": "Prepend", "prepend": "▁"},
			object{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"},
		}},
		"decoder": object{"type": "Sequence", "decoders": []any{
			object{"type": "Replace", "pattern": object{"String": "▁"}, "content": " "},
			object{"type": "ByteFallback"}, object{"type": "Fuse"},
			object{"type": "Strip", "content": " ", "start": 1, "stop": 0},
		}},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": "<unk>", "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil,
			"fuse_unk":           true, "byte_fallback": true, "vocab": vocab, "merges": merges,
		},
	}
	if modern {
		file["normalizer"] = nil
		file["pre_tokenizer"] = object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
			"split": false}
		file["model"].(object)["ignore_merges"] = false
	}
	return encodeJSON(t, file)
}

// llama3JSON is the tokenizer.json of LLaMA 3, of its vocabulary and merges.
func llama3JSON(t testing.TB, dir string) []byte {
	t.Helper()
	var vocab map[string]int32
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "encoder.json.gz")), &vocab); err != nil {
		t.Fatal(err)
	}
	var merges []string
	for line := range strings.Lines(string(readFile(t, filepath.Join(dir, "vocab.bpe.gz")))) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "#version") {
			merges = append(merges, line)
		}
	}
	var added []any
	for _, a := range llama3Special(128000) {
		delete(vocab, a.Content)
		added = append(added, special(int(a.ID), a.Content))
	}
	return encodeJSON(t, byteLevelFile(vocab, merges, llama3Pattern, added, beginWith(128000, "<|begin_of_text|>")))
}

// byteLevelFile is the form that LLaMA 3 and Qwen2 share.
func byteLevelFile(vocab map[string]int32, merges []string, pattern string, added []any, post any) object {
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
	return object{
		"version": "1.0", "added_tokens": added, "normalizer": nil,
		"pre_tokenizer": object{"type": "Sequence", "pretokenizers": []any{
			object{"type": "Split", "pattern": object{"Regex": pattern}, "behavior": "Isolated", "invert": false},
			level,
		}},
		"post_processor": post,
		"decoder":        level,
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil,
			"fuse_unk":           false, "byte_fallback": false, "ignore_merges": true, "vocab": vocab,
			"merges": merges,
		},
	}
}

func parseJSON(t testing.TB, b []byte) *BPE {
	t.Helper()
	tok, err := ParseJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestJSONVectors(t *testing.T) {
	dir := filepath.Join(realdata.Folder(t), "tokenizer")
	sp := load(t, filepath.Join(dir, "llama2")).(*SentencePiece)
	ranks, err := parseTiktoken(readFile(t, filepath.Join(dir, "llama3/tokenizer.model")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		tok     *BPE
		vectors string
		texts   int // to go there and back
	}{
		{"llama2", parseJSON(t, llama2JSON(t, sp, false)), "llama2", 1},
		{"llama3", parseJSON(t, llama3JSON(t, filepath.Join(dir, "llama3"))), "llama3", 1},
		{"llama3, tiktoken", ranks, "llama3", len(texts)},
		{"gpt2", parseJSON(t, readFile(t, filepath.Join(dir, "gpt2/tokenizer.json"))), "gpt2", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := checkVectors(t, c.tok, filepath.Join(dir, c.vectors, "vectors.jsonl"), false); n != 31 {
				t.Errorf("%d lines, want 31", n)
			}
			for _, name := range texts[:c.texts] {
				text := validText(readFile(t, filepath.Join(dir, "../text", name)))
				ids := c.tok.Encode(text)
				if got := c.tok.Decode(ids); got != text {
					t.Errorf("%s: decode(encode(x)) is not x", name)
				}
				if c.vectors == "llama2" && !slices.Equal(ids, sp.Encode(text)) {
					t.Errorf("%s: other ids than those of SentencePiece", name)
				}
			}
		})
	}
}

// The form with Metaspace gives the same ids, but puts no space in front of a text that
// begins with one.
func TestMetaspaceVectors(t *testing.T) {
	dir := filepath.Join(realdata.Folder(t), "tokenizer")
	sp := load(t, filepath.Join(dir, "llama2")).(*SentencePiece)
	tok := parseJSON(t, llama2JSON(t, sp, true))
	for line := range bytes.Lines(readFile(t, filepath.Join(dir, "llama2/vectors.jsonl"))) {
		var v struct {
			Text string
			IDs  []int32
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		want := v.IDs
		if v.Text != "" && v.Text[0] == ' ' {
			want = sp.Encode(v.Text[1:])
			if len(want) == 0 {
				want = sp.Encode(v.Text)[:1]
				want[0], _ = sp.find("▁")
			}
		}
		if got := tok.Encode(v.Text); !slices.Equal(got, want) {
			t.Errorf("%q\ngot  %v\nwant %v", v.Text, got, want)
		}
	}
}

func checkVectors(t *testing.T, tok Tokenizer, path string, bos bool) int {
	t.Helper()
	n := 0
	for line := range bytes.Lines(readFile(t, path)) {
		var v struct {
			Text string
			IDs  []int32
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		got := tok.Encode(v.Text)
		if bos {
			got = EncodeWithBOS(tok, v.Text)
		}
		if !slices.Equal(got, v.IDs) {
			t.Errorf("%s: %q\ngot  %v\nwant %v", path, v.Text, got, v.IDs)
		}
		if got := tok.Decode(v.IDs); !bos && got != v.Text {
			t.Errorf("%s: decoded %q, want %q", path, got, v.Text)
		}
		n++
	}
	return n
}
