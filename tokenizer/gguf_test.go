package tokenizer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/internal/strictjson"
)

// The vocabulary in GGUF files that llama.cpp's converter made is the tokenizer that they
// were made of.
func TestGGUFVocabulary(t *testing.T) {
	dir := realdata.Folder(t)
	want := load(t, filepath.Join(dir, "tokenizer/llama2/tokenizer.model"))
	text := string(readFile(t, filepath.Join(dir, "tokenizer/llama2/ggml-vocab-llama-spm.inp")))
	for _, path := range []string{"tokenizer/llama2/ggml-vocab-llama-spm.gguf",
		"models/llama-2-tiny-random/llama-2-tiny-random.gguf"} {
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
}

// The byte-level vocabulary of a real file is the tokenizer.json beside it; LLaMA 3's, put
// into a file as llama.cpp's converter does, its list of ranks.
func TestGGUFByteLevel(t *testing.T) {
	dir := realdata.Folder(t)
	llama3 := filepath.Join(t.TempDir(), "llama3.gguf")
	metadata := llama3Metadata(t, dir)
	if err := gguf.Write(llama3, metadata); err != nil {
		t.Fatal(err)
	}
	for path, c := range map[string]struct{ same, text string }{
		filepath.Join(dir, "tokenizer/gpt2/ggml-vocab-gpt-2.gguf"): {"tokenizer/gpt2/tokenizer.json",
			"tokenizer/gpt2/ggml-vocab-gpt-2.inp"},
		llama3: {"tokenizer/llama3/tokenizer.model", "tokenizer/llama3/ggml-vocab-llama-bpe.inp"},
	} {
		got, want := load(t, path), load(t, filepath.Join(dir, c.same))
		text := string(readFile(t, filepath.Join(dir, c.text)))
		ids := got.Encode(text)
		if !slices.Equal(ids, want.Encode(text)) || got.Decode(ids) != text || got.VocabSize() != want.VocabSize() {
			t.Errorf("%s: another tokenizer than %s", path, c.same)
		}
		if bos, ok := got.BOS(); path == llama3 && (!ok || bos != 128000) {
			t.Errorf("%s: BOS %d, %v", path, bos, ok)
		}
	}
	metadata[1].Value = "dbrx"
	if err := gguf.Write(llama3, metadata); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(llama3); err == nil || !strings.Contains(err.Error(),
		`tokenizer.ggml.pre: want one of ["gpt-2" "llama-bpe" "qwen2" "smaug-bpe"], got "dbrx"`) {
		t.Errorf("error %v", err)
	}
}

// llama3Metadata is LLaMA 3's vocabulary as llama.cpp's converter writes it.
func llama3Metadata(t *testing.T, dir string) []gguf.KeyValue {
	t.Helper()
	var file struct {
		AddedTokens []struct {
			ID      int32  `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int32 `json:"vocab"`
			Merges []jsonMerge      `json:"merges"`
		} `json:"model"`
	}
	if err := strictjson.Unmarshal(llama3JSON(t, filepath.Join(dir, "tokenizer/llama3")), &file); err != nil {
		t.Fatal(err)
	}
	tokens := make([]string, 128256)
	types := slices.Repeat([]int32{int32(normal)}, len(tokens))
	for text, id := range file.Model.Vocab {
		tokens[id] = text
	}
	for _, a := range file.AddedTokens {
		tokens[a.ID], types[a.ID] = a.Content, int32(control)
	}
	var merges []string
	for _, m := range file.Model.Merges {
		merges = append(merges, m[0]+" "+m[1])
	}
	return []gguf.KeyValue{
		{Key: ggufModel, Value: "gpt2"}, {Key: ggufPre, Value: "llama-bpe"}, {Key: ggufTokens, Value: tokens},
		{Key: ggufTypes, Value: types},
		{Key: ggufMerges, Value: merges}, {Key: ggufBOS, Value: uint32(128000)}, {Key: ggufEOS, Value: uint32(128001)},
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
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%d: error %v, want one with the file and %q", i, err, c.want)
		}
	}
}
