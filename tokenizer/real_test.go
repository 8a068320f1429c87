package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

func load(t testing.TB, path string) Tokenizer {
	t.Helper()
	tok, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil && strings.HasSuffix(path, ".gz") {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			b, err = io.ReadAll(z)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	dir := realdata.Folder(t)
	for _, c := range []struct {
		model, vectors string
		bos            bool
		n              int
	}{
		{"tokenizer/llama2", "tokenizer/llama2/vectors.jsonl", false, 31},
		{"tokenizer/llama3", "tokenizer/llama3/vectors.jsonl", false, 31},
		{"tokenizer/gpt2", "tokenizer/gpt2/vectors.jsonl", false, 31},
		{"tokenizer/llama2", "tokenizer/llama2/vectors_bos_llama2c.jsonl", true, 3},
		{"models/stories260K-hf", "models/stories260K/tok512_vectors.jsonl", false, 3},
	} {
		tok := load(t, filepath.Join(dir, c.model))
		if n := checkVectors(t, tok, filepath.Join(dir, c.vectors), c.bos); n != c.n {
			t.Errorf("%s: %d lines, want %d", c.vectors, n, c.n)
		}
	}
}

// What the models wrote, and what they were asked about, with the ids of both.
func TestModelTexts(t *testing.T) {
	dir := realdata.Folder(t)
	for _, model := range []string{"stories260K-hf", "babyllama-tok105-hf"} {
		folder := filepath.Join(dir, "models", model)
		tok := load(t, folder)
		var greedy []struct {
			Prompt, Text string
			IDs          []int32
		}
		if err := json.Unmarshal(readFile(t, filepath.Join(folder, "greedy.json")), &greedy); err != nil ||
			len(greedy) == 0 {
			t.Fatalf("%s: %d texts, error %v", model, len(greedy), err)
		}
		for _, g := range greedy {
			if got := tok.Decode(g.IDs); got != g.Text {
				t.Errorf("%s: decoded\ngot  %q\nwant %q", model, got, g.Text)
			}
			prompt := EncodeWithBOS(tok, g.Prompt)
			if !slices.Equal(prompt, g.IDs[:len(prompt)]) {
				t.Errorf("%s: prompt %q\ngot  %v\nwant %v", model, g.Prompt, prompt, g.IDs[:len(prompt)])
			}
		}
		var ref struct {
			Text string
			IDs  []int32
		}
		if err := json.Unmarshal(readFile(t, filepath.Join(folder, "reference.json")), &ref); err != nil {
			t.Fatal(err)
		}
		if got := EncodeWithBOS(tok, ref.Text); len(ref.IDs) != 200 || !slices.Equal(got[:200], ref.IDs) {
			t.Errorf("%s: reference text\ngot  %v\nwant %v", model, got, ref.IDs)
		}
	}
}

var texts = []string{"tinyshakespeare.txt", "wikitext-2-valid.txt", "wiki_demo.txt.gz", "war-and-peace.txt.gz",
	"tinystories_2M_part.txt"}

// LLaMA-2's tokenizer loses nothing: bytes for the unknown, all spaces kept.
func TestRoundTrip(t *testing.T) {
	dir := realdata.Folder(t)
	tok := load(t, filepath.Join(dir, "tokenizer/llama2"))
	for _, name := range texts {
		text := strings.ToValidUTF8(string(readFile(t, filepath.Join(dir, "text", name))), "\uFFFD")
		ids := tok.Encode(text)
		if got := tok.Decode(ids); got != text {
			t.Errorf("%s: decode(encode(x)) is not x", name)
		}
		var streamed strings.Builder
		d := NewDecoder(tok)
		for _, id := range ids {
			streamed.WriteString(d.Push(id))
		}
		streamed.WriteString(d.Flush())
		if streamed.String() != text {
			t.Errorf("%s: streaming gives another text", name)
		}
	}
}

// go test ./tokenizer -run '^$' -bench Encode: English text.
func BenchmarkEncode(b *testing.B) {
	dir := realdata.Folder(b)
	text := string(readFile(b, filepath.Join(dir, "text", texts[0])))
	sp := load(b, filepath.Join(dir, "tokenizer/llama2")).(*SentencePiece)
	for _, c := range []struct {
		name, text string
		tok        Tokenizer
	}{
		{"llama2/SentencePiece", text, sp},
		{"llama2/tokenizer.json", text, parseJSON(b, llama2JSON(b, sp, false))},
		{"llama3/tokenizer.json", text, parseJSON(b, llama3JSON(b, filepath.Join(dir, "tokenizer/llama3")))},
		{"llama3/tiktoken", text, load(b, filepath.Join(dir, "tokenizer/llama3"))},
		{"gpt2/tokenizer.json", text, load(b, filepath.Join(dir, "tokenizer/gpt2"))},
		{"llama2/without spaces", strings.ReplaceAll(text, " ", ""), sp}, // the heap holds the whole text
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				c.tok.Encode(c.text)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	dir := realdata.Folder(b)
	text := string(readFile(b, filepath.Join(dir, "text", texts[0])))
	for _, name := range []string{"llama2", "llama3", "gpt2"} {
		tok := load(b, filepath.Join(dir, "tokenizer", name))
		ids := tok.Encode(text)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Decode(ids)
			}
		})
	}
}

// A folder's tokenizer is read once a command.
func BenchmarkLoad(b *testing.B) {
	dir := realdata.Folder(b)
	file := llama3JSON(b, filepath.Join(dir, "tokenizer/llama3"))
	b.Run("llama3/tokenizer.json", func(b *testing.B) {
		for b.Loop() {
			parseJSON(b, file)
		}
	})
	for _, name := range []string{"llama2", "llama3", "gpt2"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				load(b, filepath.Join(dir, "tokenizer", name))
			}
		})
	}
}
