package llama

import (
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/ops"
)

// Gemma 2 (2408.00118) and Gemma 3 (2503.19786) have norms before and after both parts of a block,
// whose weights are stored around 0, GeGLU, embeddings times the root of their width, and windows
// in most layers. Gemma 2 bounds scores and logits; Gemma 3 norms queries and keys and has
// rotary settings of their own for the layers with a window.
func init() {
	norms := func(b *builder, block *Block) {
		hidden := b.config.Hidden
		block.MLPNorm = nil
		block.AttentionOutNorm, block.MLPInNorm, block.MLPOutNorm = b.norm(hidden), b.norm(hidden), b.norm(hidden)
	}
	tensors := [][2]string{
		{"post_attention_norm.weight", "post_attention_layernorm.weight"},
		{"ffn_norm.weight", "pre_feedforward_layernorm.weight"},
		{"post_ffw_norm.weight", "post_feedforward_layernorm.weight"},
	}
	register(&family{
		modelType: "gemma2",
		class:     "Gemma2ForCausalLM",
		missing: defaults{
			vocab: 256000, hidden: 2304, intermediate: 9216, layers: 26, heads: 8, kvHeads: 4, headDim: 256,
			positions: 8192, tied: true,
		},
		windows: true, leavesF16: true, hiddenAct: geluTanh, normOffset: 1,
		read: func(f *fields, c *Config) {
			f.gemma(c, 2)
			c.AttentionSoftCap = f.softCap("attn_logit_softcapping", 50)
			c.LogitSoftCap = f.softCap("final_logit_softcapping", 30)
		},
		write: (*Config).setGemma,
		block: norms,
		gguf: ggufForm{
			architecture: "gemma2",
			tensors:      tensors, shiftedNorms: true,
			read: func(k *ggufKeys, config map[string]any) {
				k.gemma(config, 4096, 2)
				config["attn_logit_softcapping"] = k.float("attn_logit_softcapping", ptr(50.0))
				config["final_logit_softcapping"] = k.float("final_logit_softcapping", ptr(30.0))
			},
			write: func(c *Config, prefix string) ([]gguf.KeyValue, error) {
				keys, err := c.gemmaKeys(prefix, 2)
				return append(keys, gguf.KeyValue{Key: prefix + "attn_logit_softcapping", Value: c.AttentionSoftCap},
					gguf.KeyValue{Key: prefix + "final_logit_softcapping", Value: c.LogitSoftCap}), err
			},
			differs: factorsIgnored,
		},
	})
	register(&family{
		modelType: "gemma3_text",
		class:     "Gemma3ForCausalLM",
		missing: defaults{
			vocab: 262208, hidden: 2304, intermediate: 9216, layers: 26, heads: 8, kvHeads: 4, headDim: 256,
			positions: 131072, theta: 1e6, tied: true,
		},
		windows: true, leavesF16: true, hiddenAct: geluTanh, normOffset: 1,
		read: func(f *fields, c *Config) {
			f.gemma(c, f.size("sliding_window_pattern", f.size("_sliding_window_pattern", 6, maxLayers), maxLayers))
			// Both are there in its config.json, and what its attention computes has neither.
			f.softCap("attn_logit_softcapping", 0)
			c.LogitSoftCap = f.softCap("final_logit_softcapping", 0)
		},
		write: func(c *Config, out map[string]any) error {
			out["rope_parameters"] = map[string]any{
				fullAttention: ropeParameters(c.RoPE), slidingAttention: ropeParameters(c.rope(c.LocalRoPE != nil)),
			}
			out["rope_local_base_freq"] = number(c.rope(c.LocalRoPE != nil).Theta)
			return c.setGemma(out)
		},
		rope: (*fields).gemma3RoPE,
		block: func(b *builder, block *Block) {
			norms(b, block)
			block.Attention.QNorm, block.Attention.KNorm = b.norm(b.config.HeadDim), b.norm(b.config.HeadDim)
		},
		gguf: ggufForm{
			architecture: "gemma3",
			tensors: append([][2]string{
				{"attn_q_norm.weight", "self_attn.q_norm.weight"}, {"attn_k_norm.weight", "self_attn.k_norm.weight"},
			}, tensors...),
			shiftedNorms: true,
			read: func(k *ggufKeys, config map[string]any) {
				k.gemma(config, 0, 6)
				config["rope_local_base_freq"] = k.float("rope.freq_base_swa", ptr(10000.0))
				delete(config, "rope_parameters") // the older spelling says which layers they are of
				if cap := k.float("final_logit_softcapping", ptr(0.0)); cap != "0" {
					config["final_logit_softcapping"] = cap
				}
			},
			write: func(c *Config, prefix string) ([]gguf.KeyValue, error) {
				local := c.rope(c.LocalRoPE != nil)
				if local.YaRN != nil || local.Long != nil || local.Dynamic != nil || local.OriginalPositions != 0 ||
					local.Factor > 1 {
					return nil, &Error{
						Field: "rope_parameters.sliding_attention.rope_type",
						Want:  `"default": GGUF has no other for layers with a window`,
						Got:   fmt.Sprintf("%q", ropeParameters(local)["rope_type"]),
					}
				}
				keys, err := c.gemmaKeys(prefix, 6)
				keys = append(keys, gguf.KeyValue{Key: prefix + "rope.freq_base_swa",
					Value: float32(local.Theta)})
				if c.LogitSoftCap != 0 {
					keys = append(keys, gguf.KeyValue{Key: prefix + "final_logit_softcapping", Value: c.LogitSoftCap})
				}
				return keys, err
			},
			differs: func(c *Config) error {
				// llama.cpp's attn_factor, beside its own of YaRN, would be one of the layers with a window, too.
				if y := c.RoPE.YaRN; y != nil && y.Attention != yarnAttention(y.Factor) {
					return &Error{
						Field: "rope_parameters.attention_factor",
						Want:  fmt.Sprintf("%v, which llama.cpp takes for a gemma3_text", yarnAttention(y.Factor)),
						Got:   fmt.Sprint(y.Attention),
					}
				}
				return factorsIgnored(c)
			},
		},
	})
}

// gemma reads what both have, with all positions in every nth layer.
func (f *fields) gemma(c *Config, every int) {
	f.attentionBiases(c)
	only(f, "use_bidirectional_attention", false)
	c.EmbeddingScale = float32(math.Sqrt(float64(c.Hidden)))
	c.AttentionScale = float32(math.Pow(f.positive("query_pre_attn_scalar", 256), -0.5))
	c.Windows = f.windows(c.Layers, 4096, 0)
	if !f.has("layer_types") {
		for i := range c.Windows {
			if (i+1)%every == 0 {
				c.Windows[i] = 0
			}
		}
	}
}

// softCap reads a bound that null takes away.
func (f *fields) softCap(name string, missing float64) float32 {
	if _, given := f.values[name]; given && !f.has(name) {
		return 0
	}
	if !f.has(name) {
		return float32(missing)
	}
	return float32(f.positive(name, missing))
}

// setGemma is the inverse of gemma.
func (c *Config) setGemma(out map[string]any) error {
	window, types, err := c.layerTypes()
	if err != nil {
		return err
	}
	out["attention_bias"] = c.QKVBias
	out["query_pre_attn_scalar"] = gemmaScalar(c.AttentionScale)
	out["attn_logit_softcapping"], out["final_logit_softcapping"] = capOrNull(c.AttentionSoftCap),
		capOrNull(c.LogitSoftCap)
	out["sliding_window"], out["layer_types"] = nil, types
	if window > 0 {
		out["sliding_window"] = window
	}
	if c.Windows == nil {
		out["layer_types"] = slices.Repeat([]string{fullAttention}, c.Layers)
	}
	return nil
}

// gemmaScalar is query_pre_attn_scalar, of which the scores' factor is the inverse root: a whole
// number in every model there is.
func gemmaScalar(scale float32) float64 {
	exact := 1 / (float64(scale) * float64(scale))
	if whole := math.Round(exact); math.Abs(whole-exact) < 1e-5*exact {
		return whole
	}
	return exact
}

func capOrNull(bound float32) any {
	if bound == 0 {
		return nil
	}
	return number(bound)
}

// gemma3RoPE reads rope_parameters by kinds of layers, or rope_theta and rope_scaling, which are of
// the layers that see all positions, and rope_local_base_freq of those with a window.
func (f *fields) gemma3RoPE(c *Config) {
	const missing, local = 1e6, 10000
	c.LocalRoPE = &ops.RoPEScaling{Theta: f.positive("rope_local_base_freq", local)}
	both := f.object("rope_parameters")
	if both == nil {
		c.RoPE = f.rope(missing, c.MaxPositions)
		return
	}
	both.known(fullAttention, slidingAttention)
	read := func(name string, missing float64) ops.RoPEScaling {
		o := both.object(name)
		if o == nil {
			return ops.RoPEScaling{Theta: missing}
		}
		r := o.ropeScaling(missing, o.count("original_max_position_embeddings", 0), c.MaxPositions)
		if both.err == nil {
			both.err = o.err
		}
		return r
	}
	c.RoPE = read(fullAttention, f.positive("rope_theta", missing))
	*c.LocalRoPE = read(slidingAttention, c.LocalRoPE.Theta)
	if f.err == nil {
		f.err = both.err
	}
}

// gemma reads the keys that both have: what they are where the file does not say them, n being of every nth layer,
// which sees all positions.
func (k *ggufKeys) gemma(config map[string]any, missingWindow, every int) {
	config["hidden_activation"] = geluTanh
	every = k.int(windowPatternKey, ptr(every))
	window := k.int(windowKey, ptr(missingWindow))
	types := make([]string, config["num_hidden_layers"].(int))
	for i := range types {
		types[i] = fullAttention
		if window > 0 && (every == 0 || (i+1)%every != 0) {
			types[i] = slidingAttention
		}
	}
	config["sliding_window"], config["layer_types"] = nil, types
	if window > 0 {
		config["sliding_window"] = window
	}
	// llama.cpp takes the head's size, but for the two of 27 billion parameters, whose scores are
	// those of hidden / heads.
	scalar := config["head_dim"].(int)
	if hidden, heads := config["hidden_size"].(int), config["num_attention_heads"].(int); gemma27B(hidden, heads) {
		scalar = hidden / heads
	}
	config["query_pre_attn_scalar"] = scalar
}

// gemma27B reports whether llama.cpp takes a model of these sizes for one of 27 billion parameters.
func gemma27B(hidden, heads int) bool { return heads == 32 && (hidden == 4608 || hidden == 5376) }

// gemmaKeys are the keys that both have.
func (c *Config) gemmaKeys(prefix string, every int) ([]gguf.KeyValue, error) {
	window, _, err := c.layerTypes()
	if err != nil {
		return nil, err
	}
	if window == 0 && c.LocalRoPE == nil { // llama.cpp has a window in each Gemma 2, but for this key of 4,096
		window = c.MaxPositions
	}
	out := []gguf.KeyValue{{Key: prefix + windowKey, Value: uint32(window)}}
	period, ok := c.windowPeriod()
	switch {
	case !ok:
		return nil, &Error{
			Field: "layer_types", Want: "all positions in every nth layer and a window in the others: llama.cpp has no" +
				" other order", Got: fmt.Sprint(c.Windows),
		}
	case c.Windows != nil && period != every:
		out = append(out, gguf.KeyValue{Key: prefix + windowPatternKey, Value: uint32(period)})
	}
	scalar := float64(c.HeadDim)
	if gemma27B(c.Hidden, c.Heads) {
		scalar = float64(c.Hidden / c.Heads)
	}
	if got := gemmaScalar(c.AttentionScale); got != scalar {
		return nil, &Error{
			Field: "query_pre_attn_scalar", Want: fmt.Sprintf("%v, which llama.cpp takes", scalar), Got: fmt.Sprint(got),
		}
	}
	return out, nil
}
