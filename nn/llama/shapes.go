package llama

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/ops"
)

// shape is the sizes of a published model.
type shape struct {
	hidden, intermediate, layers, heads, kvHeads, positions int
	eps                                                     float32
	tied                                                    bool // the head is the embedding
}

// shapes are the sizes of LLaMA, table 2 of "LLaMA: Open and Efficient Foundation Language
// Models" (2302.13971), inside the feed-forward blocks 8/3 of the width, rounded up to a
// multiple of 256; of LLaMA 2 (2307.09288); of TinyLlama (2401.02385); and of the models of
// children's stories that come with llama2.c. All of them have the same 32,000 words.
var shapes = map[string]shape{
	"stories15m":     {288, 768, 6, 6, 6, 256, 1e-5, true},
	"stories110m":    {768, 2048, 12, 12, 12, 1024, 1e-5, true},
	"tinyllama-1.1b": {2048, 5632, 22, 32, 4, 2048, 1e-5, false},
	"llama-7b":       {4096, 11008, 32, 32, 32, 2048, 1e-6, false},
	"llama-2-7b":     {4096, 11008, 32, 32, 32, 4096, 1e-5, false},
	"llama-13b":      {5120, 13824, 40, 40, 40, 2048, 1e-6, false},
	"llama-30b":      {6656, 17920, 60, 52, 52, 2048, 1e-6, false},
	"llama-65b":      {8192, 22016, 80, 64, 64, 2048, 1e-6, false},
}

// Shape is the architecture of a published model by its name, such as llama-7b.
func Shape(name string) (c Config, ok bool) {
	s, ok := shapes[strings.ToLower(name)]
	if !ok {
		return c, false
	}
	return Config{
		ModelType: "llama", Vocab: 32000, Hidden: s.hidden, Intermediate: s.intermediate, Layers: s.layers,
		Heads: s.heads, KVHeads: s.kvHeads, HeadDim: s.hidden / s.heads, MaxPositions: s.positions, Tied: s.tied,
		NormEps: s.eps, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}, true
}

// Shapes are the names that Shape knows, the smallest model first.
func Shapes() []string {
	return slices.SortedFunc(maps.Keys(shapes), func(a, b string) int {
		if d := shapes[a].hidden - shapes[b].hidden; d != 0 {
			return d
		}
		return strings.Compare(b, a) // llama-7b before llama-2-7b
	})
}

// ReadShape is the architecture of a model: of a folder, a GGUF file or a config.json, or
// of a name that Shape knows.
func ReadShape(model string) (Config, error) {
	switch _, err := regular.Stat(model); {
	case err == nil && strings.HasSuffix(model, ".json"):
		text, err := readSmall(model)
		if err != nil {
			return Config{}, err
		}
		return parseConfig(model, text)
	case err == nil:
		return ReadConfig(model)
	case !errors.Is(err, fs.ErrNotExist):
		return Config{}, err
	}
	if c, ok := Shape(model); ok {
		return c, nil
	}
	return Config{}, fmt.Errorf("want a model's folder, GGUF file or config.json, or one of the names %s, got %q",
		strings.Join(Shapes(), ", "), model)
}
