package llama

import "github.com/agora-ml/agora/encoding/gguf"

// Qwen2 has biases in the projections of queries, keys and values, and a window in its later
// layers if it is asked for.
func init() {
	const missingWindow = 4096
	register(&family{
		modelType: "qwen2",
		class:     "Qwen2ForCausalLM",
		missing: defaults{
			vocab: 151936, hidden: 4096, intermediate: 22016, layers: 32, heads: 32,
			kvHeads: 32, positions: 32768,
		},
		windows: true,
		read: func(f *fields, c *Config) {
			c.QKVBias = true
			window := 0
			if f.flag("use_sliding_window", false) {
				window = missingWindow
			}
			c.Windows = f.windows(c.Layers, window, f.count("max_window_layers", 28))
		},
		write: func(c *Config, out map[string]any) error {
			widest, types, err := c.layerTypes()
			if err != nil {
				return err
			}
			out["use_sliding_window"] = widest > 0
			if widest > 0 {
				out["sliding_window"], out["layer_types"] = widest, types
			}
			return nil
		},
		gguf: ggufForm{
			architecture: "qwen2",
			write: func(c *Config, _ string) ([]gguf.KeyValue, error) {
				widest, _, err := c.layerTypes()
				if err == nil && widest > 0 {
					err = &Error{
						Field: "use_sliding_window",
						Want:  "false: GGUF has no sliding window for qwen2",
						Got:   "true",
					}
				}
				return nil, err
			},
			differs: func(c *Config) error {
				if err := windowIgnored(c); err != nil {
					return err
				}
				if c.RoPE.OriginalPositions > 0 {
					return &Error{
						Field: "rope_scaling",
						Want:  `"default" or "linear": llama.cpp does not stretch a qwen2 by LLaMA 3's rule`,
						Got:   `"llama3"`,
					}
				}
				return nil
			},
		},
	})
}
