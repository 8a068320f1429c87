package llama

import (
	"cmp"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Qwen3 is a LLaMA that norms each head's queries and keys before the rotary positions
// (2505.09388, section 2), with a window in its later layers if it is asked for.
func init() {
	register(&family{
		modelType: "qwen3",
		class:     "Qwen3ForCausalLM",
		missing: defaults{
			vocab: 151936, hidden: 4096, intermediate: 22016, layers: 32, heads: 32, kvHeads: 32,
			headDim: 128, positions: 32768,
		},
		windows: true,
		read: func(f *fields, c *Config) {
			f.attentionBiases(c)
			c.Windows = f.laterWindows(c.Layers, 4096)
		},
		write: func(c *Config, out map[string]any) error {
			out["attention_bias"] = c.QKVBias
			return c.setLaterWindows(out)
		},
		block: func(b *builder, block *Block) {
			block.Attention.QNorm = b.norm(b.config.HeadDim)
			block.Attention.KNorm = b.norm(b.config.HeadDim)
		},
		gguf: ggufForm{
			architecture: "qwen3",
			tensors: [][2]string{
				{"attn_q_norm.weight", "self_attn.q_norm.weight"},
				{"attn_k_norm.weight", "self_attn.k_norm.weight"},
			},
			read: (*ggufKeys).attentionBiases,
			write: func(c *Config, _ string) ([]gguf.KeyValue, error) {
				return nil, noWindowInGGUF(c, "qwen3")
			},
			differs: func(c *Config) error { return cmp.Or(windowIgnored(c), factorsIgnored(c)) },
		},
	})
}
