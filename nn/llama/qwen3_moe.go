package llama

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn"
)

// Qwen3-MoE is a Qwen3 of which blocks have a mixture of experts in place of their feed-forward part
// (2505.09388, section 2): all but mlp_only_layers, and of the others each decoder_sparse_step-th.
func init() {
	register(&family{
		modelType: "qwen3_moe",
		class:     "Qwen3MoeForCausalLM",
		missing: defaults{
			vocab: 151936, hidden: 2048, intermediate: 6144, layers: 24, heads: 32, kvHeads: 4, positions: 32768,
		},
		windows: true, mixture: true,
		read: func(f *fields, c *Config) {
			f.attentionBiases(c)
			if f.flag("use_sliding_window", false) {
				c.Windows = f.windows(c.Layers, 4096, 0)
			}
			c.Mixture = f.mixture(128, 8)
			c.Mixture.Intermediate = f.size("moe_intermediate_size", 768, maxMatrix)
			c.Mixture.SumsToOne = f.flag("norm_topk_prob", false)
			c.Mixture.Dense = f.denseLayers(c.Layers)
		},
		write: func(c *Config, out map[string]any) error {
			m := c.Mixture
			out["attention_bias"] = c.QKVBias
			out["num_experts"], out["num_local_experts"], out["num_experts_per_tok"] = m.Experts, m.Experts, m.Chosen
			out["moe_intermediate_size"], out["norm_topk_prob"] = m.Intermediate, m.SumsToOne
			out["decoder_sparse_step"], out["mlp_only_layers"] = 1, c.denseLayers()
			window, _, err := c.layerTypes()
			if out["use_sliding_window"] = window > 0; window > 0 {
				out["sliding_window"] = window
			}
			return cmp.Or(err, c.sameWindows())
		},
		block: func(b *builder, block *Block) {
			block.Attention.QNorm = b.norm(b.config.HeadDim)
			block.Attention.KNorm = b.norm(b.config.HeadDim)
			if !b.config.dense(b.layer) {
				block.MLP = nil
				block.MoE = b.moe(func(gate, up, down *nn.Linear) nn.Expert {
					return &nn.SwiGLU{Gate: gate, Up: up, Down: down}
				})
			}
		},
		gguf: ggufForm{
			architecture: "qwen3moe",
			tensors: [][2]string{
				{"attn_q_norm.weight", "self_attn.q_norm.weight"},
				{"attn_k_norm.weight", "self_attn.k_norm.weight"},
				{"ffn_gate_inp.weight", "mlp.gate.weight"},
			},
			experts: [][2]string{
				{"ffn_gate_exps.weight", "mlp.experts.*.gate_proj.weight"},
				{"ffn_up_exps.weight", "mlp.experts.*.up_proj.weight"},
				{"ffn_down_exps.weight", "mlp.experts.*.down_proj.weight"},
			},
			read: func(k *ggufKeys, config map[string]any) {
				k.attentionBiases(config)
				k.mixture(config)
				config["moe_intermediate_size"] = k.int(expertWidthKey, nil)
				config["norm_topk_prob"] = true // as llama.cpp computes
			},
			write: func(c *Config, prefix string) ([]gguf.KeyValue, error) {
				out := append(c.mixtureKeys(prefix),
					gguf.KeyValue{Key: prefix + expertWidthKey, Value: uint32(c.Mixture.Intermediate)})
				if !c.Mixture.SumsToOne {
					return nil, &Error{Field: "norm_topk_prob", Want: "true: llama.cpp divides the weights of experts by their sum",
						Got: "false"}
				}
				return out, cmp.Or(c.noDenseLayer(), noWindowInGGUF(c, "qwen3moe"))
			},
			differs: func(c *Config) error { return cmp.Or(windowIgnored(c), factorsIgnored(c)) },
		},
	})
}

// denseLayers reads which layers have one feed-forward part; nil: none.
func (f *fields) denseLayers(layers int) []bool {
	var without []int
	f.get("mlp_only_layers", "a list of layers", &without)
	step := f.size("decoder_sparse_step", 1, maxLayers)
	dense := make([]bool, layers)
	for _, i := range without {
		if i < 0 || i >= layers {
			f.fail("mlp_only_layers", fmt.Sprintf("layers 0 to %d", layers-1), fmt.Sprint(i))
			return nil
		}
		dense[i] = true
	}
	for i := range dense {
		dense[i] = dense[i] || (i+1)%step != 0
	}
	if !slices.Contains(dense, true) {
		return nil
	}
	return dense
}

// denseLayers is the inverse, as mlp_only_layers.
func (c *Config) denseLayers() []int {
	layers := []int{}
	for i, dense := range c.Mixture.Dense {
		if dense {
			layers = append(layers, i)
		}
	}
	return layers
}

// sameWindows refuses windows in some layers alone.
func (c *Config) sameWindows() error {
	for _, w := range c.Windows {
		if w != c.Windows[0] {
			return &Error{Field: "sliding_window", Want: "one window for all layers of a " + c.ModelType,
				Got: fmt.Sprint(c.Windows)}
		}
	}
	return nil
}
