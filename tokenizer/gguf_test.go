package tokenizer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
)

// The vocabulary in GGUF files that llama.cpp's converter made is the tokenizer that they
// were made of.
func TestGGUFVocabulary(t *testing.T) {
	dir := dataDir(t)
	want := load(t, filepath.Join(dir, "tokenizer/llama2/tokenizer.model"))
	text := string(readFile(t, filepath.Join(dir, "tokenizer/llama2/ggml-vocab-llama-spm.inp")))
	for _, path := range []string{"tokenizer/llama2/ggml-vocab-llama-spm.gguf", "models/llama-2-tiny-random/llama-2-tiny-random.gguf"} {
		got := load(t, filepath.Join(dir, path))
		ids := got.Encode(text)
		if !slices.Equal(ids, want.Encode(text)) || got.Decode(ids) != want.Decode(ids) {
			t.Errorf("%s: another tokenizer than tokenizer.model", path)
		}
		bos, hasBOS := got.BOS()
		eos, hasEOS := got.EOS()
		if bos != 1 || eos != 2 || !hasBOS || !hasEOS {
			t.Errorf("%s: BOS %d %v, EOS %d %v", path, bos, hasBOS, eos, hasEOS)
		}
	}
	if _, err := Load(filepath.Join(dir, "tokenizer/gpt2/ggml-vocab-gpt-2.gguf")); err == nil || !strings.Contains(err.Error(), `want "llama", which is SentencePiece, got "gpt2"`) {
		t.Errorf("gpt2: error %v", err)
	}
}

// What Metadata writes, Load reads.
func TestGGUFMetadata(t *testing.T) {
	m := llama("a", "b", "ab")
	m.noDummy = true
	want := parse(t, m)
	path := filepath.Join(t.TempDir(), "vocabulary.gguf")
	write := func(metadata ...gguf.KeyValue) {
		t.Helper()
		if err := gguf.Write(path, metadata); err != nil {
			t.Fatal(err)
		}
	}
	metadata := want.Vocabulary().Metadata()
	write(metadata...)
	got := load(t, path)
	const text = "abbaé"
	if ids := got.Encode(text); !slices.Equal(ids, want.Encode(text)) || got.Decode(ids) != text {
		t.Errorf("%q is %v, decoded %q; want %v", text, ids, got.Decode(ids), want.Encode(text))
	}
	for i, c := range []struct {
		key   string
		value any
		want  string
	}{
		{ggufScores, []float32{1}, "want as many scores and types as the"},
		{ggufUnknown, uint32(1), "unknown piece: want 0, which is of that type, got 1"},
		{ggufBOS, uint32(1 << 20), ggufBOS + ": want an id below"},
		{ggufTypes, []int64{1}, "tokenizer.ggml.token_type"},
	} {
		changed := slices.Clone(metadata)
		at := slices.IndexFunc(changed, func(kv gguf.KeyValue) bool { return kv.Key == c.key })
		changed[at].Value = c.value
		write(changed...)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%d: error %v, want one with the file and %q", i, err, c.want)
		}
	}
}
