package llama

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Mistral is a LLaMA whose layers may see a window of positions alone. llama.cpp has no name
// of its own for it: a llama with a sliding window is one.
func init() {
	const missingWindow = 4096
	register(&family{
		modelType: "mistral",
		class:     "MistralForCausalLM",
		missing: defaults{
			vocab: 32000, hidden: 4096, intermediate: 14336, layers: 32, heads: 32,
			kvHeads: 8, positions: 4096 * 32,
		},
		windows: true,
		read: func(f *fields, c *Config) {
			c.Windows = f.windows(c.Layers, missingWindow, 0)
		},
		write: (*Config).setWindow,
		gguf: ggufForm{
			architecture: "llama",
			interleaved:  true,
			is: func(k *ggufKeys) bool {
				return k.int(windowKey, ptr(0)) > 0 && k.int(expertsKey, ptr(0)) == 0
			},
			read: func(k *ggufKeys, config map[string]any) {
				config["sliding_window"] = k.int(windowKey, ptr(0))
			},
			write: func(c *Config, prefix string) ([]gguf.KeyValue, error) {
				widest, types, err := c.layerTypes()
				if err != nil || widest == 0 {
					return nil, err
				}
				if widest < c.MaxPositions && slices.Contains(types, fullAttention) {
					return nil, &Error{
						Field: "layer_types",
						Want:  "a window in every layer or in none: GGUF has one for all of a mistral",
						Got:   fmt.Sprint(c.Windows),
					}
				}
				return []gguf.KeyValue{{Key: prefix + windowKey, Value: uint32(widest)}}, nil
			},
			differs: windowIgnored,
		},
	})
}
