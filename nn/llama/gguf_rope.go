package llama

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/ops"
)

// LLaMA 3's rule is not in a file's metadata. Its result is, as a tensor: what each of a
// head's frequencies is divided by. It has no name at Hugging Face.
const ropeFactorsName = "rope_freqs.weight"

// LongRoPE's factors are tensors, too.
const (
	longFactorsName  = "rope_factors_long.weight"
	shortFactorsName = "rope_factors_short.weight"
)

const (
	ropeThetaKey  = "rope.freq_base"
	ropeKindKey   = "rope.scaling.type"
	ropeFactorKey = "rope.scaling.factor"
	oldContextKey = "rope.scaling.original_context_length"

	attentionFactorKey = "rope.scaling.attn_factor"

	betaFastKey  = "rope.scaling.yarn_beta_fast"
	betaSlowKey  = "rope.scaling.yarn_beta_slow"
	truncatedKey = "rope.scaling.yarn_truncate"
)

// The kinds of rotary scaling that llama.cpp has; LLaMA 3's is none of them.
const (
	noScaling       = "none"
	linearScaling   = "linear"
	yarnScaling     = "yarn"
	longRoPEScaling = "longrope"
)

// ropeMetadata is the keys, with this prefix, and the tensors that say the settings.
func ropeMetadata(prefix string, r ops.RoPEScaling, headDim int) ([]gguf.KeyValue, []gguf.Tensor, error) {
	r.Theta = cmp.Or(r.Theta, 10000)
	out := []gguf.KeyValue{{Key: prefix + ropeThetaKey, Value: float32(r.Theta)}}
	switch {
	case r.Dynamic != nil:
		return nil, nil, &Error{
			Field: "rope_parameters.rope_type",
			Want:  `"default", "linear", "llama3", "yarn" or "longrope": llama.cpp has no other`, Got: `"dynamic"`,
		}
	case r.YaRN != nil:
		return append(out, yarnMetadata(prefix, r.YaRN)...), nil, nil
	case r.Long != nil:
		return longRoPEMetadata(prefix, out, r.Long)
	case r.OriginalPositions != 0:
		if !(r.Factor > 0 && r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor && r.OriginalPositions > 0) {
			return nil, nil, &Error{
				Field: "rope_scaling",
				Want: "LLaMA 3's factor, low_freq_factor below high_freq_factor and" +
					" original_max_position_embeddings",
				Got: fmt.Sprintf("%+v", r),
			}
		}
		t, err := gguf.FromFloat32s(ropeFactorsName, gguf.F32, []int{headDim / 2}, ropeFactors(r, headDim))
		out = append(out, gguf.KeyValue{Key: prefix + oldContextKey, Value: uint32(r.OriginalPositions)})
		return out, []gguf.Tensor{t}, err
	case r.Factor != 0 && r.Factor != 1:
		out = append(out, gguf.KeyValue{Key: prefix + ropeKindKey, Value: linearScaling},
			gguf.KeyValue{Key: prefix + ropeFactorKey, Value: float32(r.Factor)})
	}
	return out, nil, nil
}

// yarnAttention is llama.cpp's own factor of sines and cosines, which its attn_factor multiplies.
func yarnAttention(factor float64) float64 { return 1 + 0.1*math.Log(max(factor, 1)) }

// yarnMetadata is YaRN's keys, without that of queries that grow with their position.
func yarnMetadata(prefix string, y *ops.YaRN) []gguf.KeyValue {
	out := []gguf.KeyValue{
		{Key: prefix + ropeKindKey, Value: yarnScaling},
		{Key: prefix + ropeFactorKey, Value: float32(y.Factor)},
		{Key: prefix + oldContextKey, Value: uint32(y.OriginalPositions)},
		{Key: prefix + betaFastKey, Value: float32(y.BetaFast)},
		{Key: prefix + betaSlowKey, Value: float32(y.BetaSlow)},
	}
	if y.Untruncated {
		out = append(out, gguf.KeyValue{Key: prefix + truncatedKey, Value: false})
	}
	if own := yarnAttention(y.Factor); y.Attention != own {
		attention := float32(y.Attention)
		factor := float32(float64(attention) / own)
		if float32(float64(factor)*own) < attention { // who multiplies is to get the same number
			factor = math.Nextafter32(factor, math.MaxFloat32)
		}
		out = append(out, gguf.KeyValue{Key: prefix + attentionFactorKey, Value: factor})
	}
	return out
}

// readYaRN is its inverse.
func (k *ggufKeys) readYaRN(factor float64, oldContext int) *ops.YaRN {
	number := func(key string, missing float64) float64 {
		v, _ := k.float(key, &missing).Float64()
		if k.err == nil && !(v > 0) {
			k.fail(k.wrong(key, "a number above 0", fmt.Sprint(v)))
		}
		return v
	}
	y := &ops.YaRN{
		Factor: factor, OriginalPositions: oldContext, BetaFast: number(betaFastKey, 32), BetaSlow: number(betaSlowKey, 1),
	}
	y.Attention = yarnAttention(factor)
	if own := number(attentionFactorKey, 1); own != 1 {
		y.Attention = float64(float32(y.Attention * own))
	}
	truncated, err := readKey(k, truncatedKey, ptr(true), func(key string) (bool, error) {
		return gguf.Get[bool](k.file, key)
	})
	k.fail(err)
	y.Untruncated = !truncated
	// Factors of the share of stretched waves and of sines and cosines, which nothing but 1 is known of; -1 is unset.
	for _, key := range []string{"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"} {
		if v, _ := k.float(key, ptr(1.0)).Float64(); v != 1 && v != -1 {
			k.fail(k.wrong(key, "1", fmt.Sprint(v)))
		}
	}
	return y
}

// longRoPEMetadata adds LongRoPE's keys and its two tensors.
func longRoPEMetadata(prefix string, out []gguf.KeyValue, l *ops.LongRoPE) ([]gguf.KeyValue, []gguf.Tensor, error) {
	var tensors []gguf.Tensor
	for _, set := range []struct {
		name    string
		factors []float64
	}{{longFactorsName, l.Long}, {shortFactorsName, l.Short}} {
		var values []float32
		for _, f := range set.factors {
			values = append(values, float32(f))
		}
		t, err := gguf.FromFloat32s(set.name, gguf.F32, []int{len(values)}, values)
		if err != nil {
			return nil, nil, err
		}
		tensors = append(tensors, t)
	}
	return append(out, gguf.KeyValue{Key: prefix + ropeKindKey, Value: longRoPEScaling},
		gguf.KeyValue{Key: prefix + oldContextKey, Value: uint32(l.OriginalPositions)},
		gguf.KeyValue{Key: prefix + attentionFactorKey, Value: float32(l.Attention)}), tensors, nil
}

// readLongRoPE is its inverse.
func (k *ggufKeys) readLongRoPE(half, oldContext int) *ops.LongRoPE {
	attention, _ := k.float(attentionFactorKey, ptr(1.0)).Float64()
	l := &ops.LongRoPE{OriginalPositions: oldContext, Attention: attention}
	for name, into := range map[string]*[]float64{longFactorsName: &l.Long, shortFactorsName: &l.Short} {
		t, err := k.file.Tensor(name)
		var values []float32
		if err == nil && (len(t.Shape) != 1 || t.Shape[0] != half) {
			err = &gguf.Error{File: k.file.Path(), Tensor: name, Want: fmt.Sprintf("shape [%d]", half),
				Got: fileerror.Shape(t.Shape)}
		}
		if err == nil {
			values, err = t.Float32s()
		}
		k.fail(err)
		for _, v := range values {
			*into = append(*into, float64(v))
		}
	}
	if k.err == nil && oldContext < 1 {
		k.fail(k.wrong(oldContextKey, "at least 1", fmt.Sprint(oldContext)))
	}
	return l
}

// rope reads the settings from a file, of heads of which so many elements are turned.
func (k *ggufKeys) rope(headDim int) (r ops.RoPEScaling) {
	k.ignore(ropeKindKey)
	kind := noScaling
	if _, ok := k.file.Value(k.prefix + ropeKindKey); ok {
		var err error
		kind, err = gguf.Get[string](k.file, k.prefix+ropeKindKey)
		k.fail(err)
	}
	r.Theta, _ = k.float(ropeThetaKey, ptr(10000.0)).Float64()
	factor, _ := k.float(ropeFactorKey, ptr(1.0)).Float64()
	if older, _ := k.float("rope.scale_linear", ptr(1.0)).Float64(); older != 1 { // the older name of factor
		kind, factor = linearScaling, older
	}
	oldContext := k.int(oldContextKey, ptr(0))
	switch {
	case k.err != nil:
	case !slices.Contains([]string{noScaling, linearScaling, yarnScaling, longRoPEScaling}, kind):
		k.fail(k.wrong(ropeKindKey, `"none", "linear", "yarn" or "longrope"`, fileerror.Quote(kind)))
	case !(r.Theta > 0):
		k.fail(k.wrong(ropeThetaKey, "a number above 0", fmt.Sprint(r.Theta)))
	case (k.file.Has(ropeFactorsName) || k.file.Has(longFactorsName)) &&
		(kind == yarnScaling || kind == linearScaling && factor != 1):
		k.fail(k.wrong(ropeKindKey, `"none" or "longrope" beside a tensor of factors`, fileerror.Quote(kind)))
	case k.file.Has(longFactorsName): // the converter does not always name the kind
		r.Long = k.readLongRoPE(headDim/2, oldContext)
	case kind == longRoPEScaling:
		k.fail(k.wrong(ropeKindKey, "the tensor "+longFactorsName+" beside it", "none"))
	case k.file.Has(ropeFactorsName):
		llama3, err := readRopeFactors(k.file, r.Theta, headDim, oldContext)
		k.fail(err)
		return llama3
	case (kind == linearScaling || kind == yarnScaling) && !(factor > 0):
		k.fail(k.wrong(ropeFactorKey, "a number above 0", fmt.Sprint(factor)))
	case kind == linearScaling:
		r.Factor = factor
	case kind == yarnScaling:
		r.YaRN = k.readYaRN(factor, cmp.Or(oldContext, k.int("context_length", nil)))
	}
	return r
}

// yarnDiffers returns an error for settings of YaRN that llama.cpp passes over; those of its bounds (betas) it reads
// for some families alone.
func (c *Config) yarnDiffers(betas bool) error {
	y := c.RoPE.YaRN
	fail := func(field, want string, got any) error {
		return &Error{Field: "rope_parameters." + field, Want: want, Got: fmt.Sprint(got)}
	}
	switch {
	case y == nil:
	case y.Untruncated:
		return fail("truncate", "true: llama.cpp rounds the bounds of what YaRN stretches", false)
	case !betas && y.BetaFast != 32:
		return fail("beta_fast", "32, which llama.cpp takes for a "+c.ModelType, y.BetaFast)
	case !betas && y.BetaSlow != 1:
		return fail("beta_slow", "1, which llama.cpp takes for a "+c.ModelType, y.BetaSlow)
	}
	return nil
}

// factorsIgnored returns an error if a factor of each frequency stretches the rotary embeddings, LLaMA 3's or
// LongRoPE's, for the families in which llama.cpp passes over the tensors that have them.
func factorsIgnored(c *Config) error {
	for kind, stretched := range map[string]bool{"llama3": c.RoPE.OriginalPositions != 0, "longrope": c.RoPE.Long != nil} {
		if stretched {
			return &Error{
				Field: "rope_scaling",
				Want:  `"default", "linear" or "yarn": llama.cpp passes over the factors of a ` + c.ModelType,
				Got:   fmt.Sprintf("%q", kind),
			}
		}
	}
	return nil
}
