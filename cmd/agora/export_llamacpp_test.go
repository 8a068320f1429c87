package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tokenizer"
)

// pieces is a SentencePiece vocabulary: <unk>, <s>, </s>, the bytes, ▁ and the letters.
func pieces(change func(*tokenizer.Vocabulary)) tokenizer.Vocabulary {
	v := tokenizer.Vocabulary{Unknown: 0, BOS: 1, EOS: 2, DummyPrefix: true}
	add := func(text string, kind int32) {
		v.Pieces, v.Scores, v.Types = append(v.Pieces, text), append(v.Scores, float32(-len(v.Pieces))),
			append(v.Types, kind)
	}
	add("<unk>", 2)
	add("<s>", 3)
	add("</s>", 3)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), 6)
	}
	add("▁", 1)
	for c := 'a'; c <= 'z'; c++ {
		add(string(c), 1)
	}
	if change != nil {
		change(&v)
	}
	return v
}

// pieceModel is a model's folder with such a vocabulary, of one layer, with these changes.
func pieceModel(t *testing.T, v tokenizer.Vocabulary, words int, change func(*llama.Config),
	files map[string]string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "model")
	c := llama.Config{
		ModelType: "llama", Vocab: words, Hidden: 32, Intermediate: 40, Layers: 1, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.2, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}
	if change != nil {
		change(&c)
	}
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := llama.New(d, c, 5)
	if err == nil {
		err = m.Save(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "words.gguf")
	if err := gguf.Write(file, v.Metadata()); err != nil {
		t.Fatal(err)
	}
	words2 := t.TempDir()
	if err := tokenizer.SaveGGUF(file, words2); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(filepath.Join(words2, tokenizer.ModelFile),
		filepath.Join(dir, tokenizer.ModelFile)); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, files)
	return dir
}

const imChat = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

// What a model's folder says of words and of chats stands in the file for llama.cpp.
func TestExportGGUFWords(t *testing.T) {
	v := pieces(nil)
	n := len(v.Pieces)
	dir := pieceModel(t, v, n+4, nil, map[string]string{
		"added_tokens.json":     fmt.Sprintf(`{"<|im_start|>": %d, "<|im_end|>": %d, "<tool>": %d}`, n, n+1, n+2),
		"tokenizer_config.json": fmt.Sprintf(`{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "chat_template": %q}`, imChat),
	})
	file := filepath.Join(t.TempDir(), "m.gguf")
	r := mustJSON[converted](t, "export", "--merged", "--model", dir, "--to", "gguf", "--out", file)
	if len(r.Warnings) != 0 {
		t.Errorf("warnings %q", r.Warnings)
	}
	check := func(file string) {
		t.Helper()
		f, err := gguf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for key, want := range map[string]any{
			"tokenizer.chat_template": imChat, "tokenizer.ggml.model": "llama",
			"tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2),
			"tokenizer.ggml.eot_token_id": uint32(n + 1), "tokenizer.ggml.unknown_token_id": uint32(0),
			"tokenizer.ggml.add_bos_token": true,
			"tokenizer.ggml.add_eos_token": false, "tokenizer.ggml.add_space_prefix": true,
			"tokenizer.ggml.remove_extra_whitespaces": false,
		} {
			if got, _ := f.Value(key); got != want {
				t.Errorf("%s: %s is %v, want %v", file, key, got, want)
			}
		}
		tokens, err := gguf.Get[[]string](f, "tokenizer.ggml.tokens")
		if want := []string{"<|im_start|>", "<|im_end|>", "<tool>", fmt.Sprintf("[PAD%d]", n+3)}; err != nil ||
			!slices.Equal(tokens[n:], want) {
			t.Errorf("tokens %q, error %v", tokens[n:], err)
		}
		types, err := gguf.Get[[]int32](f, "tokenizer.ggml.token_type")
		if want := []int32{3, 3, 4, 5}; err != nil || !slices.Equal(types[n:], want) {
			t.Errorf("types %v, error %v", types[n:], err)
		}
	}
	check(file)
	// A file made of that file says the same, and the model ends where it did.
	again := filepath.Join(t.TempDir(), "again.gguf")
	if code, _, stderr := agora(t, "export", "--merged", "--model", file, "--to", "gguf", "--dtype", "f16", "--out",
		again); code != 0 || strings.Contains(stderr, "warning") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	check(again)
	c, err := llama.ReadConfig(again)
	if want := []int32{2, int32(n + 1)}; err != nil || !reflect.DeepEqual(c.EOS, want) {
		t.Errorf("EOS %v, error %v, want %v", c.EOS, err, want)
	}
}

// What llama.cpp would compute otherwise is refused, what it would read otherwise in some
// texts is said.
func TestExportGGUFForLlamaCpp(t *testing.T) {
	plain := pieces(nil)
	n := len(plain.Pieces)
	windowed := func(kind string, w int) func(*llama.Config) {
		return func(c *llama.Config) { c.ModelType, c.Windows, c.QKVBias = kind, []int{w}, kind == "qwen2" }
	}
	config := func(text string) map[string]string { return map[string]string{"tokenizer_config.json": text} }
	for name, c := range map[string]struct {
		v      tokenizer.Vocabulary
		change func(*llama.Config)
		files  map[string]string
		fails  string
		warns  []string
	}{
		"mistral with a window": {v: plain, change: windowed("mistral", 8),
			fails: "sliding_window: want none, or at least the 64 positions of the model: llama.cpp lets a mistral see all positions (null in config.json, if no text is longer), got 8"},
		"qwen2 with a window": {v: plain, change: windowed("qwen2", 8),
			fails: "sliding_window: want none, or at least the 64 positions of the model: llama.cpp lets a qwen2 see all"},
		"a window of all positions": {v: plain, change: windowed("mistral", 64)},
		"mistral without a window":  {v: plain, change: func(c *llama.Config) { c.ModelType = "mistral" }},
		"qwen2 stretched as LLaMA 3": {v: plain, change: func(c *llama.Config) {
			c.ModelType, c.QKVBias = "qwen2", true
			c.RoPE = ops.RoPEScaling{Theta: 10000, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4,
				OriginalPositions: 32}
		}, fails: `rope_scaling: want "default", "linear" or "yarn": llama.cpp passes over the factors of a qwen2, got "llama3"`},
		"llama stretched as LLaMA 3": {v: plain, change: func(c *llama.Config) {
			c.RoPE = ops.RoPEScaling{Theta: 10000, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4,
				OriginalPositions: 32}
		}},
		"linear, biases, tied, another head_dim": {v: plain, change: func(c *llama.Config) {
			c.RoPE.Factor, c.QKVBias, c.OBias, c.MLPBias, c.Tied, c.HeadDim = 2, true, true, true, true, 16
		}},
		"spaces are taken away": {v: pieces(func(v *tokenizer.Vocabulary) { v.RemoveExtraSpace = true }),
			warns: []string{"tokenizer.model: remove_extra_whitespaces: llama.cpp keeps several spaces"}},
		"no space in front": {v: pieces(func(v *tokenizer.Vocabulary) { v.DummyPrefix = false })},
		"no bytes": {v: pieces(func(v *tokenizer.Vocabulary) {
			v.Pieces, v.Scores, v.Types = slices.Delete(v.Pieces, 3, 259), slices.Delete(v.Scores, 3, 259),
				slices.Delete(v.Types, 3, 259)
		}), fails: "tokenizer.model: byte_fallback: want true, got false: llama.cpp has no other way"},
		"unused pieces": {v: pieces(func(v *tokenizer.Vocabulary) { v.Types[270] = 5 }),
			warns: []string{`tokenizer.model: unused pieces ("k"): llama.cpp makes them of text`}},
		"user-defined pieces": {v: pieces(func(v *tokenizer.Vocabulary) { v.Types[270] = 4 }),
			warns: []string{`tokenizer.model: user-defined pieces ("k"): llama.cpp puts a space in front`}},
		"legacy false": {v: plain, files: config(`{"legacy": false}`),
			warns: []string{"tokenizer_config.json: legacy: llama.cpp puts a space in front of a text behind a special token"}},
		"legacy true": {v: plain, files: config(`{"legacy": true}`)},
		"flags": {v: plain, files: config(fmt.Sprintf(`{"added_tokens_decoder": {"%d": {"content": "<m>", "lstrip": true}}}`, n)),
			warns: []string{`lstrip, rstrip and single_word of added tokens ("<m>"): llama.cpp does not know them`}},
		"more ids than words": {v: plain, files: map[string]string{"added_tokens.json": fmt.Sprintf(`{"a1": %d, "a2": %d}`, n, n+1)}, fails: fmt.Sprintf("want at most the %d words of the model, got %d", n+1, n+2)},
	} {
		dir := pieceModel(t, c.v, n+1, c.change, c.files)
		file := filepath.Join(t.TempDir(), "m.gguf")
		code, stdout, stderr := agora(t, "export", "--merged", "--model", dir, "--to", "gguf", "--out", file, "--json")
		if c.fails != "" {
			if code != 1 || !strings.Contains(stderr, c.fails) || isFile(file) {
				t.Errorf("%s: exit code %d, %s\nwant %s", name, code, stderr, c.fails)
			}
			continue
		}
		if code != 0 || strings.Count(stderr, "warning: ") != len(c.warns) {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
		for _, want := range c.warns {
			if !strings.Contains(stderr, want) || !strings.Contains(stdout, `"warnings": [`) {
				t.Errorf("%s: %s\n%s\nwant %s", name, stderr, stdout, want)
			}
		}
	}
}
