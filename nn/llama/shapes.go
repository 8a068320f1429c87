package llama

import (
	"maps"
	"slices"
	"strings"

	"github.com/agora-ml/agora/ops"
)

// shapes are the sizes of LLaMA: table 2 of "LLaMA: Open and Efficient Foundation Language
// Models" (2302.13971); inside the feed-forward blocks 8/3 of the width, rounded up to a
// multiple of 256.
var shapes = map[string]struct{ hidden, intermediate, layers, heads int }{
	"llama-7b":  {4096, 11008, 32, 32},
	"llama-13b": {5120, 13824, 40, 40},
	"llama-30b": {6656, 17920, 60, 52},
	"llama-65b": {8192, 22016, 80, 64},
}

// Shape is the architecture of a published model by its name, such as llama-7b.
func Shape(name string) (c Config, ok bool) {
	s, ok := shapes[strings.ToLower(name)]
	if !ok {
		return c, false
	}
	return Config{
		ModelType: "llama", Vocab: 32000, Hidden: s.hidden, Intermediate: s.intermediate, Layers: s.layers,
		Heads: s.heads, KVHeads: s.heads, HeadDim: s.hidden / s.heads, MaxPositions: 2048,
		NormEps: 1e-6, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}, true
}

// Shapes are the names that Shape knows, the smallest model first.
func Shapes() []string {
	return slices.SortedFunc(maps.Keys(shapes), func(a, b string) int { return shapes[a].hidden - shapes[b].hidden })
}
