package llama

import (
	"cmp"
	"fmt"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Phi 3 and Phi 4 hold queries, keys and values in one projection, gate and up in another, and may
// turn a part of a head alone (2404.14219).
func init() {
	register(&family{
		modelType: "phi3",
		class:     "Phi3ForCausalLM",
		missing: defaults{
			vocab: 32064, hidden: 3072, intermediate: 8192, layers: 32, heads: 32, positions: 4096, eps: 1e-5,
		},
		windows: true, partialRotary: true,
		read: func(f *fields, c *Config) {
			if f.has("sliding_window") {
				c.Windows = f.windows(c.Layers, 1, 0)
			}
		},
		write: func(c *Config, out map[string]any) error {
			factor := number(float64(c.rotated()) / float64(c.HeadDim))
			out["partial_rotary_factor"] = factor
			out["rope_parameters"].(map[string]any)["partial_rotary_factor"] = factor
			if l := c.RoPE.Long; l != nil {
				out["original_max_position_embeddings"] = l.OriginalPositions
			}
			return c.setWindow(out)
		},
		rope: func(f *fields, c *Config) {
			part := f.number("partial_rotary_factor", 1)
			for _, name := range []string{"rope_scaling", "rope_parameters"} {
				if o := f.object(name); o != nil {
					part = o.number("partial_rotary_factor", part)
				}
			}
			if part > 0 && part < 1 {
				c.RotaryDim = int(float64(c.HeadDim) * part)
			} else if part != 1 {
				f.fail("partial_rotary_factor", "a number above 0, at most 1", fmt.Sprint(part))
			}
			c.RoPE = f.rope(10000, c.MaxPositions)
		},
		block: func(b *builder, block *Block) {
			c, a, m := &b.config, block.Attention, block.MLP
			a.Q, a.K, a.V = nil, nil, nil
			a.QKV = b.linear(c.Hidden, (c.Heads+2*c.KVHeads)*c.HeadDim, false)
			m.Gate, m.Up = nil, nil
			m.GateUp = b.linear(c.Hidden, 2*c.Intermediate, false)
		},
		gguf: ggufForm{
			architecture: "phi3",
			tensors: [][2]string{
				{"attn_qkv.weight", "self_attn.qkv_proj.weight"},
				{"ffn_up.weight", "mlp.gate_up_proj.weight"},
			},
			read: func(k *ggufKeys, config map[string]any) {
				if window := k.int(windowKey, ptr(0)); window > 0 {
					config["sliding_window"] = window
				}
			},
			write: func(c *Config, prefix string) (out []gguf.KeyValue, err error) {
				window, _, err := c.layerTypes()
				if window > 0 {
					out = append(out, gguf.KeyValue{Key: prefix + windowKey, Value: uint32(window)})
				}
				return out, err
			},
			differs: func(c *Config) error {
				if c.RoPE.Long != nil { // the only factors that llama.cpp heeds here
					return windowIgnored(c)
				}
				return cmp.Or(windowIgnored(c), factorsIgnored(c))
			},
		},
	})
}
