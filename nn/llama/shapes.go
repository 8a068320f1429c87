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

// shape is the sizes of a published model of the LLaMA family.
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

// configs are the config.json of published models of later families, as far as they differ from
// their family's defaults: LLaMA 3 (2407.21783, table 3), Qwen3 (2505.09388, tables 1 and 2), Mixtral (2401.04088,
// table 1) and Gemma 3 (2503.19786).
var configs = map[string]string{
	"llama-3-8b": `{"model_type": "llama", "vocab_size": 128256, "intermediate_size": 14336, "num_key_value_heads": 8,
		"max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000}`,
	"qwen3-0.6b": `{"model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
		"num_attention_heads": 16, "num_key_value_heads": 8, "max_position_embeddings": 40960, "rope_theta": 1000000,
		"tie_word_embeddings": true}`,
	"qwen3-1.7b": `{"model_type": "qwen3", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
		"num_attention_heads": 16, "num_key_value_heads": 8, "max_position_embeddings": 40960, "rope_theta": 1000000,
		"tie_word_embeddings": true}`,
	"qwen3-4b": `{"model_type": "qwen3", "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
		"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 40960, "rope_theta": 1000000,
		"tie_word_embeddings": true}`,
	"qwen3-8b": `{"model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
		"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 40960, "rope_theta": 1000000}`,
	"qwen3-30b-a3b": `{"model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144,
		"moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": true,
		"num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
		"max_position_embeddings": 40960, "rope_theta": 1000000}`,
	"mixtral-8x7b": `{"model_type": "mixtral", "max_position_embeddings": 32768}`,
	"gemma-3-1b": `{"model_type": "gemma3_text", "vocab_size": 262144, "hidden_size": 1152, "intermediate_size": 6912,
		"num_attention_heads": 4, "num_key_value_heads": 1, "max_position_embeddings": 32768, "sliding_window": 512}`,
	"gemma-3-4b": `{"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
		"num_hidden_layers": 34, "sliding_window": 1024, "rope_scaling": {"rope_type": "linear", "factor": 8}}`,
}

// Shape is the architecture of a published model by its name, such as llama-7b.
func Shape(name string) (c Config, ok bool) {
	name = strings.ToLower(name)
	if text, ok := configs[name]; ok {
		c, err := parseConfig(name, []byte(text))
		if err != nil { // TestShapes reads them all
			panic(err)
		}
		c.source = nil
		return c, true
	}
	s, ok := shapes[name]
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
	hidden := map[string]int{}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(shapes)), slices.Collect(maps.Keys(configs))) {
		c, _ := Shape(name)
		hidden[name] = c.Hidden
	}
	return slices.SortedFunc(maps.Keys(hidden), func(a, b string) int {
		if d := hidden[a] - hidden[b]; d != 0 {
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
