package llama

import (
	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/ops"
)

// Ministral is a Mistral of which some layers have a window. Ministral 3 stretches its rotary
// positions by YaRN, and its queries with their position; it has no window.
func init() {
	const (
		queryBetaKey     = "attention.temperature_scale"
		logMultiplierKey = "rope.scaling.yarn_log_multiplier" // mscale_all_dim
	)
	register(&family{
		modelType: "ministral",
		class:     "MinistralForCausalLM",
		missing: defaults{
			vocab: 32000, hidden: 4096, intermediate: 14336, layers: 32, heads: 32, kvHeads: 8, positions: 4096 * 32,
		},
		windows: true,
		read:    func(f *fields, c *Config) { c.Windows = f.windows(c.Layers, 4096, 0) },
		write:   (*Config).setWindow,
		gguf: ggufForm{
			architecture: "llama", interleaved: true,
			is:      func(*ggufKeys) bool { return false }, // such a file is a mistral or a llama
			write:   func(c *Config, _ string) ([]gguf.KeyValue, error) { return nil, noWindowInGGUF(c, "ministral") },
			differs: windowIgnored,
		},
	})
	register(&family{
		modelType: "ministral3",
		class:     "Ministral3ForCausalLM",
		missing: defaults{
			vocab: 131072, hidden: 4096, intermediate: 14336, layers: 34, heads: 32, kvHeads: 8, headDim: 128,
			positions: 262144, eps: 1e-5,
		},
		windows: true,
		read: func(f *fields, c *Config) {
			if f.has("sliding_window") {
				c.Windows = f.windows(c.Layers, 1, 0)
			}
		},
		write: (*Config).setWindow,
		rope: func(f *fields, c *Config) {
			if f.has("rope_parameters") || f.has("rope_scaling") {
				c.RoPE = f.rope(10000, c.MaxPositions)
				return
			}
			c.RoPE = ops.RoPEScaling{Theta: 1e6, YaRN: &ops.YaRN{
				Factor: 16, OriginalPositions: 16384, BetaFast: 32, BetaSlow: 1, Attention: 1, QueryBeta: 0.1,
			}}
		},
		gguf: ggufForm{
			architecture: "mistral3", interleaved: true, yarnBetas: true,
			read: func(k *ggufKeys, config map[string]any) {
				rope := config["rope_parameters"].(map[string]any)
				beta, ratio := k.float(queryBetaKey, ptr(0.0)), k.float(logMultiplierKey, ptr(0.0))
				if rope["rope_type"] != "yarn" {
					if beta != "0" || ratio != "0" {
						k.fail(k.wrong(queryBetaKey, "YaRN beside it", "none"))
					}
					return
				}
				rope["llama_4_scaling_beta"] = beta
				if m, _ := ratio.Float64(); m != 0 { // the attention factor is a ratio of two, of mscale 1 and m
					rope["attention_factor"] = rope["attention_factor"].(float64) /
						(1 + m*(yarnAttention(rope["factor"].(float64))-1))
				}
			},
			write: func(c *Config, prefix string) (out []gguf.KeyValue, err error) {
				if y := c.RoPE.YaRN; y != nil && y.QueryBeta != 0 {
					out = append(out, gguf.KeyValue{Key: prefix + queryBetaKey, Value: float32(y.QueryBeta)})
				}
				return out, noWindowInGGUF(c, "ministral3")
			},
			differs: windowIgnored,
		},
	})
}
