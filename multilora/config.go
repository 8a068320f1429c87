package multilora

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Method says how the modules of an adapter begin and how they are scaled.
type Method string

// The methods.
const (
	// MethodMultiLoRA has several modules with learnable scalings, which begin at zero
	// (2311.11501).
	MethodMultiLoRA Method = "multilora"
	// MethodLoRA is one module without a scaling, whose B begins at zero (2106.09685).
	MethodLoRA Method = "lora"
	// MethodRSLoRA is LoRA with alpha / sqrt(rank) in place of alpha / rank (2312.03732).
	MethodRSLoRA Method = "rslora"
	// MethodDoRA is LoRA whose sum with the weight has rows of a magnitude that is learned
	// (2402.09353): W' = m (W + ΔW) / |W + ΔW|, |…| being each row's norm.
	MethodDoRA Method = "dora"
)

// Methods lists every Method, the default first.
func Methods() []Method { return []Method{MethodMultiLoRA, MethodLoRA, MethodRSLoRA, MethodDoRA} }

// Start says how MultiLoRA's modules begin as nothing.
type Start string

const (
	// StartSilent is the paper's: A and B are random, and every s begins at 0.
	StartSilent Start = "silent"
	// StartZeroB is LoRA's, with a gain that is learned: B begins at 0, and every s at 1.
	StartZeroB Start = "zero-b"
)

// Starts lists every Start, the default first.
func Starts() []Start { return []Start{StartSilent, StartZeroB} }

// Scaling says what MultiLoRA learns to scale its modules by.
type Scaling string

// The scalings.
const (
	ScalingScalar    Scaling = "scalar"     // one number a module
	ScalingPerOutput Scaling = "per-output" // one number a module and output of the layer
)

// Scalings lists every Scaling, the default first.
func Scalings() []Scaling { return []Scaling{ScalingScalar, ScalingPerOutput} }

// AllLinear is the target that stands for every linear layer that stands in a slot (see
// nn.Layers): in a language model all but its head, and but the experts of a mixture, which are adapted where they
// are named.
const AllLinear = "all-linear"

// Config is what an adapter is made of.
type Config struct {
	Method  Method  `json:"method"`
	Modules int     `json:"modules"`         // low-rank modules side by side; 1 for LoRA
	Rank    int     `json:"rank"`            // of each module
	Alpha   float64 `json:"alpha"`           // the modules' sum is scaled by Alpha / Rank
	Scaling Scaling `json:"scaling"`         // of MultiLoRA
	Start   Start   `json:"start,omitempty"` // of MultiLoRA; "": StartSilent

	// Targets are the layers to adapt: AllLinear, the last parts of names ("q_proj",
	// "self_attn.q_proj"), or patterns of whole names ("model.layers.[0-3].*", where *
	// stands for any characters). The head and the embedding of a language model have
	// modules where they are named ("lm_head", "embed_tokens"); where they share their weight
	// either name means both, and a module is beside the one weight. The embedding's
	// weight is [vocab, hidden] to A and B, so B has a row for each token.
	Targets []string `json:"targets"`

	// Extra are parameters of the model that train in full beside the modules and belong
	// to the adapter (PEFT's modules_to_save): patterns of whole names
	// ("model.layers.*norm.weight"), or the last parts of names, of parameters
	// ("q_proj.bias", "bias") or of modules, whose own parameters they then mean ("norm",
	// "lm_head", "embed_tokens"). A head that is the embedding trains as embed_tokens.
	// They train in the model's storage type, which must not be quantized.
	Extra []string `json:"extra,omitempty"`

	// Tokens are rows of the embedding that train in full (PEFT's trainable_token_indices): ids of
	// tokens ("5", "100-120"), and with "lm_head:" before them rows of the head. A head that is
	// the embedding has the embedding's. The rows are f32 whatever the model's storage, and
	// take a number of 16 bits for each of them and each token of the vocabulary.
	Tokens []string `json:"tokens,omitempty"`

	// Ranks and Alphas are the values of layers, by their whole names, that have others
	// than Rank and Alpha.
	Ranks  map[string]int     `json:"ranks,omitempty"`
	Alphas map[string]float64 `json:"alphas,omitempty"`

	// Bias gives B a bias [out], which the scale multiplies (PEFT's lora_bias): of LoRA and
	// rsLoRA, and not beside the embedding and the head.
	Bias bool `json:"bias,omitempty"`

	// Dropout is the probability with which the modules do not see an element of the
	// layer's input while training.
	Dropout float64 `json:"dropout"`
}

// Defaults is MultiLoRA with three modules of rank 8 on every linear layer.
func Defaults() Config {
	return Config{
		Method: MethodMultiLoRA, Modules: 3, Rank: 8, Alpha: 8, Scaling: ScalingScalar, Targets: []string{AllLinear},
	}
}

// maxRank is the largest rank of all modules together: more than any layer can use.
const maxRank = 1 << 16

// Validate returns an error that names the first invalid field as adapter.json does.
func (c Config) Validate() error {
	fail := func(field, want string, got any) error {
		return fmt.Errorf("multilora: field %s: want %s, got %v", field, want, got)
	}
	switch {
	case !slices.Contains(Methods(), c.Method):
		return fail("method", "multilora, lora, rslora or dora", fmt.Sprintf("%q", c.Method))
	case c.Method != MethodMultiLoRA && c.Modules != 1:
		return fail("modules", fmt.Sprintf("1 with method %s", c.Method), c.Modules)
	case c.Method != MethodMultiLoRA && c.Scaling != ScalingScalar:
		return fail("scaling", fmt.Sprintf("scalar with method %s", c.Method), fmt.Sprintf("%q", c.Scaling))
	case c.Modules < 1 || c.Modules > maxRank:
		return fail("modules", fmt.Sprintf("1 to %d", maxRank), c.Modules)
	case c.Rank < 1 || c.Rank > maxRank/c.Modules:
		return fail("rank", fmt.Sprintf("1 to %d with %d modules", maxRank/c.Modules, c.Modules), c.Rank)
	case !(c.Alpha > 0) || math.IsInf(c.Alpha, 0):
		return fail("alpha", "a positive number", c.Alpha)
	case !slices.Contains(Scalings(), c.Scaling):
		return fail("scaling", "scalar or per-output", fmt.Sprintf("%q", c.Scaling))
	case c.Start != "" && !slices.Contains(Starts(), c.Start):
		return fail("start", "silent or zero-b", fmt.Sprintf("%q", c.Start))
	case c.Bias && c.Method != MethodLoRA && c.Method != MethodRSLoRA:
		return fail("bias", fmt.Sprintf("false with method %s", c.Method), c.Bias)
	case c.Start == StartZeroB && c.Method != MethodMultiLoRA:
		return fail("start", fmt.Sprintf("silent with method %s", c.Method), c.Start)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fail("dropout", "at least 0 and below 1", c.Dropout)
	case len(c.Targets) == 0:
		return errors.New("multilora: field targets: want at least one, got none")
	}
	if _, err := parseTokens(c.Tokens); err != nil {
		return err
	}
	for _, layer := range slices.Sorted(maps.Keys(c.Ranks)) {
		if r := c.Ranks[layer]; r < 1 || r > maxRank/c.Modules {
			return fail("ranks: layer "+quoted(layer),
				fmt.Sprintf("1 to %d with %d modules", maxRank/c.Modules, c.Modules), r)
		}
	}
	for _, layer := range slices.Sorted(maps.Keys(c.Alphas)) {
		if a := c.Alphas[layer]; !(a > 0) || math.IsInf(a, 0) {
			return fail("alphas: layer "+quoted(layer), "a positive number", a)
		}
	}
	return nil
}

// of is the configuration of one layer.
func (c Config) of(layer string) Config {
	if r, ok := c.Ranks[layer]; ok {
		c.Rank = r
	}
	if a, ok := c.Alphas[layer]; ok {
		c.Alpha = a
	}
	c.Ranks, c.Alphas = nil, nil
	return c
}

// set gives a layer a rank and an alpha.
func (c *Config) set(layer string, rank int, alpha float64) {
	if rank != c.Rank {
		if c.Ranks == nil {
			c.Ranks = map[string]int{}
		}
		c.Ranks[layer] = rank
	}
	if alpha != c.Alpha {
		if c.Alphas == nil {
			c.Alphas = map[string]float64{}
		}
		c.Alphas[layer] = alpha
	}
}

// TotalRank is the rank of all modules of a layer together.
func (c Config) TotalRank() int { return c.Modules * c.Rank }

// Scale is the factor of the modules' sum.
func (c Config) Scale() float64 {
	if c.Method == MethodRSLoRA {
		return c.Alpha / math.Sqrt(float64(c.Rank))
	}
	return c.Alpha / float64(c.Rank)
}

// learnsScaling reports whether the modules have a scaling s.
func (c Config) learnsScaling() bool { return c.Method == MethodMultiLoRA }

// scalings is the numbers of one module's s.
func (c Config) scalings(out int) int {
	if c.Scaling == ScalingPerOutput {
		return out
	}
	return 1
}
