package llama

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn"
)

// Mixture is the experts that a model's blocks have in place of one feed-forward part (see nn.MoE).
type Mixture struct {
	Experts      int    // of each block
	Chosen       int    // experts of a token
	Intermediate int    // width inside an expert
	SumsToOne    bool   // the weights of the chosen experts are divided by their sum
	Dense        []bool // layers with one feed-forward part, of Config.Intermediate; nil: none
}

// maxExperts is more experts of all layers together than any model has, so that a broken file costs nothing.
const maxExperts = 1 << 17

// dense reports whether layer i has one feed-forward part.
func (c *Config) dense(i int) bool {
	return c.Mixture == nil || c.Mixture.Dense != nil && c.Mixture.Dense[i]
}

// expertTensors is how many matrices a model's experts have at least.
func (c *Config) expertTensors() (n int) {
	for i := range c.Layers {
		if !c.dense(i) {
			n += 3 * c.Mixture.Experts
		}
	}
	return n
}

// IdleParameters returns how many of the model's parameters a token does not use: those of the experts that are not
// chosen for it.
func (c *Config) IdleParameters() (n int) {
	for i := range c.Layers {
		if m := c.Mixture; !c.dense(i) {
			n += (m.Experts - m.Chosen) * 3 * c.Hidden * m.Intermediate
		}
	}
	return n
}

// checkMixture refuses sizes that do not fit each other; fail makes the error.
func (c *Config) checkMixture(fail func(field, want string, got any) error) error {
	m, kind := c.Mixture, familyOf(c.ModelType)
	switch {
	case kind == nil || m == nil && !kind.mixture:
		return nil
	case !kind.mixture:
		return fail("num_experts", "none in a "+c.ModelType, m.Experts)
	case m == nil:
		return fail("num_experts", "a Mixture", "none")
	case m.Experts < 1 || m.Experts > maxExperts/c.Layers:
		return fail("num_experts", fmt.Sprintf("1 to %d in each of %d layers", maxExperts/c.Layers, c.Layers), m.Experts)
	case m.Chosen < 1 || m.Chosen > m.Experts:
		return fail("num_experts_per_tok", fmt.Sprintf("1 to the %d experts", m.Experts), m.Chosen)
	case m.Intermediate < 1 || m.Intermediate > maxMatrix/c.Hidden:
		return fail("moe_intermediate_size × hidden_size", fmt.Sprintf("matrices of at most %d numbers", maxMatrix),
			fmt.Sprintf("%d × %d", m.Intermediate, c.Hidden))
	case m.Dense != nil && len(m.Dense) != c.Layers:
		return fail("mlp_only_layers", fmt.Sprintf("%d layers", c.Layers), len(m.Dense))
	}
	return nil
}

// mixture reads what all mixtures have. The loss of a router that is to use its experts alike is refused: it belongs to
// the training of a mixture, not of adapters in one, and without output_router_logits transformers leaves it out, too.
func (f *fields) mixture(experts, chosen int) *Mixture {
	only(f, "output_router_logits", false)
	name := "num_local_experts"
	if !f.has(name) { // Qwen's name
		name = "num_experts"
	}
	return &Mixture{
		Experts: f.size(name, experts, math.MaxInt32), Chosen: f.size("num_experts_per_tok", chosen, math.MaxInt32),
		SumsToOne: true,
	}
}

// moe makes a mixture whose experts are made by expert.
func (b *builder) moe(expert func(gate, up, down *nn.Linear) nn.Expert) *nn.MoE {
	c, m := &b.config, b.config.Mixture
	moe := &nn.MoE{Router: b.linear(c.Hidden, m.Experts, false), Chosen: m.Chosen, SumsToOne: m.SumsToOne}
	for range m.Experts {
		moe.Experts = append(moe.Experts, expert(b.linear(c.Hidden, m.Intermediate, false),
			b.linear(c.Hidden, m.Intermediate, false), b.linear(m.Intermediate, c.Hidden, false)))
	}
	return moe
}

// isRouter reports whether a tensor, by its Hugging Face name, is the weight of a mixture's router.
func isRouter(name string) bool { return strings.HasSuffix(name, ".gate.weight") }

// The keys of a GGUF file.
const (
	expertsKey     = "expert_count"
	chosenKey      = "expert_used_count"
	expertWidthKey = "expert_feed_forward_length"
)

// mixtureKeys are those of a GGUF file that all mixtures have.
func (c *Config) mixtureKeys(prefix string) []gguf.KeyValue {
	return []gguf.KeyValue{
		{Key: prefix + expertsKey, Value: uint32(c.Mixture.Experts)},
		{Key: prefix + chosenKey, Value: uint32(c.Mixture.Chosen)},
	}
}

// mixture adds to a config.json what those keys say.
func (k *ggufKeys) mixture(config map[string]any) {
	config["num_local_experts"], config["num_experts_per_tok"] = k.int(expertsKey, nil), k.int(chosenKey, nil)
}

// noDenseLayer refuses layers without experts, for the families that have them in all layers of a GGUF file.
func (c *Config) noDenseLayer() error {
	if i := slices.Index(c.Mixture.Dense, true); i >= 0 {
		return &Error{Field: "mlp_only_layers, decoder_sparse_step",
			Want: "experts in every layer: llama.cpp knows no other " + c.ModelType, Got: fmt.Sprintf("none in layer %d", i)}
	}
	return nil
}
