package llama

import (
	"encoding/json"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Granite is LLaMA with factors of the embedding, of attention's scores, of what its blocks add
// and of the logits.
func init() {
	keys := []struct {
		field, gguf string
		of          func(c *Config) *float32
		inverse     bool // the field divides
	}{
		{"embedding_multiplier", "embedding_scale", func(c *Config) *float32 { return &c.EmbeddingScale }, false},
		{"attention_multiplier", "attention.scale", func(c *Config) *float32 { return &c.AttentionScale }, false},
		{"residual_multiplier", "residual_scale", func(c *Config) *float32 { return &c.ResidualScale }, false},
		{"logits_scaling", "logit_scale", func(c *Config) *float32 { return &c.LogitScale }, true},
	}
	// said is what a field says of a factor, and what the factor is of what it says.
	said := func(inverse bool, x float32) float32 {
		if inverse {
			return 1 / x
		}
		return x
	}
	register(&family{
		modelType: "granite",
		class:     "GraniteForCausalLM",
		missing: defaults{
			vocab: 32000, hidden: 4096, intermediate: 11008, layers: 32, heads: 32, positions: 2048,
		},
		read: func(f *fields, c *Config) {
			f.biases(c)
			for _, k := range keys {
				*k.of(c) = said(k.inverse, float32(f.positive(k.field, 1)))
			}
		},
		write: func(c *Config, out map[string]any) error {
			c.setBiases(out)
			for _, k := range keys {
				out[k.field] = number(said(k.inverse, orOne(*k.of(c))))
			}
			return nil
		},
		gguf: ggufForm{
			architecture: "granite",
			interleaved:  true,
			read: func(k *ggufKeys, config map[string]any) {
				k.biases(config)
				for _, key := range keys {
					config[key.field] = json.Number(k.float(key.gguf, ptr(1.0)))
				}
			},
			write: func(c *Config, prefix string) (out []gguf.KeyValue, err error) {
				for _, k := range keys {
					out = append(out, gguf.KeyValue{Key: prefix + k.gguf, Value: said(k.inverse, orOne(*k.of(c)))})
				}
				return out, nil
			},
		},
	})
}

// orOne is a factor of which 0 stands for 1.
func orOne(x float32) float32 {
	if x == 0 {
		return 1
	}
	return x
}
