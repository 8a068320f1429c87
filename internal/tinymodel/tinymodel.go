// Package tinymodel makes models for tests and measurements that need no file from elsewhere.
package tinymodel

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
)

// Positions is how many tokens a model reads.
const Positions = 64

// Config is the shape of the models: two layers of 32, 4 heads of which 2 have keys.
func Config() llama.Config {
	return llama.Config{
		ModelType: "llama", Vocab: vocabulary, Hidden: 32, Intermediate: 72, Layers: 2, Heads: 4, KVHeads: 2,
		HeadDim:      8,
		MaxPositions: Positions, NormEps: 1e-5, InitRange: 0.2, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 0,
		EOS: []int32{1},
	}
}

// tester is what this needs of a testing.TB: programs import the package, too.
type tester interface {
	Helper()
	TempDir() string
	Fatal(args ...any)
}

// Write makes a folder with a random model and a tokenizer that has a token for each
// printable ASCII character.
func Write(t tester) (dir string) {
	t.Helper()
	return WriteLike(t, Config())
}

// WriteLike is Write with a model of another shape, of the same vocabulary.
func WriteLike(t tester, c llama.Config) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "model")
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
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizer(t), 0o666); err != nil {
		t.Fatal(err)
	}
	config := `{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}`
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// vocabulary is <s>, </s>, a line's end, and the characters from space to ~.
const vocabulary = 3 + '~' - ' ' + 1

// tokenizer is the text of a tokenizer.json: BPE without a merge.
func tokenizer(t tester) []byte {
	type object = map[string]any
	ids := map[string]int{"<s>": 0, "</s>": 1, "\n": 2}
	for c := ' '; c <= '~'; c++ {
		ids[string(c)] = len(ids)
	}
	text, err := json.Marshal(object{
		"version": "1.0",
		"added_tokens": []object{{"id": 0, "content": "<s>", "special": true},
			{"id": 1, "content": "</s>", "special": true}},
		"model":   object{"type": "BPE", "vocab": ids, "merges": []string{}},
		"decoder": object{"type": "Fuse"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
