package tokenizer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dataDir is the folder of real tokenizers and texts.
func dataDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("AGORA_DATA")
	if dir == "" {
		if os.Getenv("AGORA_REQUIRE_DATA") == "1" {
			t.Fatal("AGORA_DATA is not set")
		}
		t.Skip("AGORA_DATA is not set")
	}
	return dir
}

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
	dir := dataDir(t)
	for _, c := range []struct {
		model, vectors string
		bos            bool
		n              int
	}{
		{"tokenizer/llama2", "tokenizer/llama2/vectors.jsonl", false, 31},
		{"tokenizer/llama2", "tokenizer/llama2/vectors_bos_llama2c.jsonl", true, 3},
		{"models/stories260K-hf", "models/stories260K/tok512_vectors.jsonl", false, 3},
	} {
		tok := load(t, filepath.Join(dir, c.model))
		n := 0
		for lines := bufio.NewScanner(bytes.NewReader(readFile(t, filepath.Join(dir, c.vectors)))); lines.Scan(); n++ {
			var v struct {
				Text string  `json:"text"`
				IDs  []int32 `json:"ids"`
			}
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
			got := tok.Encode(v.Text)
			if c.bos {
				got = EncodeWithBOS(tok, v.Text)
			}
			if !slices.Equal(got, v.IDs) {
				t.Errorf("%s: %q\ngot  %v\nwant %v", c.vectors, v.Text, got, v.IDs)
			}
		}
		if n != c.n {
			t.Errorf("%s: %d lines, want %d", c.vectors, n, c.n)
		}
	}
}

// What the models wrote, and what they were asked about, with the ids of both.
func TestModelTexts(t *testing.T) {
	dir := dataDir(t)
	for _, model := range []string{"stories260K-hf", "babyllama-tok105-hf"} {
		folder := filepath.Join(dir, "models", model)
		tok := load(t, folder)
		var greedy []struct {
			Prompt, Text string
			IDs          []int32
		}
		if err := json.Unmarshal(readFile(t, filepath.Join(folder, "greedy.json")), &greedy); err != nil || len(greedy) == 0 {
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

var texts = []string{"tinyshakespeare.txt", "wikitext-2-valid.txt", "wiki_demo.txt.gz", "war-and-peace.txt.gz", "tinystories_2M_part.txt"}

// LLaMA-2's tokenizer loses nothing: bytes for the unknown, all spaces kept.
func TestRoundTrip(t *testing.T) {
	dir := dataDir(t)
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

// go test ./tokenizer -bench Encode: LLaMA-2's 32,000 pieces on English text.
func BenchmarkEncode(b *testing.B) {
	dir := dataDir(b)
	tok := load(b, filepath.Join(dir, "tokenizer/llama2"))
	text := string(readFile(b, filepath.Join(dir, "text", texts[0])))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text)
	}
}

// The same without spaces: the heap holds the whole text.
func BenchmarkEncodeOneWord(b *testing.B) {
	dir := dataDir(b)
	tok := load(b, filepath.Join(dir, "tokenizer/llama2"))
	text := strings.ReplaceAll(string(readFile(b, filepath.Join(dir, "text", texts[0]))), " ", "")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text)
	}
}
