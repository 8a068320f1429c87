package llama

import (
	"cmp"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Qwen2 has biases in the projections of queries, keys and values, and a window in its later
// layers if it is asked for.
func init() {
	register(&family{
		modelType: "qwen2",
		class:     "Qwen2ForCausalLM",
		missing: defaults{
			vocab: 151936, hidden: 4096, intermediate: 22016, layers: 32, heads: 32, kvHeads: 32, positions: 32768,
		},
		windows: true,
		read: func(f *fields, c *Config) {
			c.QKVBias = true
			c.Windows = f.laterWindows(c.Layers, 4096)
		},
		write: (*Config).setLaterWindows,
		gguf: ggufForm{
			architecture: "qwen2",
			write: func(c *Config, _ string) ([]gguf.KeyValue, error) {
				return nil, noWindowInGGUF(c, "qwen2")
			},
			differs: func(c *Config) error { return cmp.Or(windowIgnored(c), factorsIgnored(c)) },
		},
	})
}
