package llama

import (
	"cmp"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn"
)

// Mixtral is a Mistral of which each block has a mixture of experts in place of its feed-forward part
// (2401.04088). In llama.cpp it is a llama with experts.
func init() {
	register(&family{
		modelType: "mixtral",
		class:     "MixtralForCausalLM",
		missing: defaults{
			vocab: 32000, hidden: 4096, intermediate: 14336, layers: 32, heads: 32, kvHeads: 8,
			positions: 4096 * 32, theta: 1e6, eps: 1e-5,
		},
		windows: true, mixture: true,
		read: func(f *fields, c *Config) {
			if f.has("sliding_window") {
				c.Windows = f.windows(c.Layers, 1, 0)
			}
			only(f, "router_jitter_noise", 0.0)
			c.Mixture = f.mixture(8, 2)
			c.Mixture.Intermediate = c.Intermediate
		},
		write: func(c *Config, out map[string]any) error {
			out["num_local_experts"], out["num_experts_per_tok"] = c.Mixture.Experts, c.Mixture.Chosen
			return cmp.Or(c.sameWindows(), c.setWindow(out))
		},
		block: func(b *builder, block *Block) {
			block.MLP = nil
			block.SparseMoE = b.moe(func(gate, up, down *nn.Linear) nn.Expert { return &mixtralExpert{gate, down, up} })
		},
		gguf: ggufForm{
			architecture: "llama",
			interleaved:  true,
			is:           func(k *ggufKeys) bool { return k.int(expertsKey, ptr(0)) > 0 },
			tensors:      [][2]string{{"ffn_gate_inp.weight", "block_sparse_moe.gate.weight"}},
			experts: [][2]string{
				{"ffn_gate_exps.weight", "block_sparse_moe.experts.*.w1.weight"},
				{"ffn_down_exps.weight", "block_sparse_moe.experts.*.w2.weight"},
				{"ffn_up_exps.weight", "block_sparse_moe.experts.*.w3.weight"},
			},
			read: func(k *ggufKeys, config map[string]any) {
				k.mixture(config)
				if window := k.int(windowKey, ptr(0)); window > 0 {
					config["sliding_window"] = window
				}
			},
			write: func(c *Config, prefix string) ([]gguf.KeyValue, error) {
				window, _, err := c.layerTypes()
				out := c.mixtureKeys(prefix)
				if window > 0 {
					out = append(out, gguf.KeyValue{Key: prefix + windowKey, Value: uint32(window)})
				}
				return out, err
			},
			differs: func(c *Config) error { return cmp.Or(windowIgnored(c), c.oddMixture()) },
		},
	})
}

// oddMixture refuses a mixtral, made by hand, that no config.json can say.
func (c *Config) oddMixture() error {
	if !c.Mixture.SumsToOne {
		return &Error{Field: "Mixture.SumsToOne", Want: "true in a " + c.ModelType, Got: "false"}
	}
	return c.noDenseLayer()
}

// mixtralExpert is a SwiGLU by Mixtral's names.
type mixtralExpert struct {
	Gate nn.Layer `name:"w1"`
	Down nn.Layer `name:"w2"`
	Up   nn.Layer `name:"w3"`
}

// Layers implements nn.Expert.
func (e *mixtralExpert) Layers() (gate, up, down nn.Layer) { return e.Gate, e.Up, e.Down }

// Forward maps [rows, hidden] to the same shape.
func (e *mixtralExpert) Forward(x *nn.Var) *nn.Var {
	return (&nn.SwiGLU{Gate: e.Gate, Up: e.Up, Down: e.Down}).Forward(x)
}
