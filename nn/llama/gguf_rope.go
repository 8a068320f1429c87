package llama

import (
	"cmp"
	"fmt"
	"math"

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
)

// ropeMetadata is the keys, with this prefix, and the tensors that say the settings.
func ropeMetadata(prefix string, r ops.RoPEScaling, headDim int) ([]gguf.KeyValue, []gguf.Tensor, error) {
	r.Theta = cmp.Or(r.Theta, 10000)
	out := []gguf.KeyValue{{Key: prefix + ropeThetaKey, Value: float32(r.Theta)}}
	switch {
	case r.YaRN != nil, r.Dynamic != nil:
		return nil, nil, &Error{
			Field: "rope_parameters.rope_type", Want: `"default", "linear", "llama3" or "longrope" in a GGUF file`,
			Got: fmt.Sprintf("%q", ropeParameters(r)["rope_type"]),
		}
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
		out = append(out, gguf.KeyValue{Key: prefix + ropeKindKey, Value: "linear"},
			gguf.KeyValue{Key: prefix + ropeFactorKey, Value: float32(r.Factor)})
	}
	return out, nil, nil
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
	return append(out, gguf.KeyValue{Key: prefix + ropeKindKey, Value: "longrope"},
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

// ropeFactors is what LLaMA 3's rule divides frequencies by: 1 where the old context holds
// more than HighFreqFactor waves, Factor where it holds fewer than LowFreqFactor; between the
// two the frequency is interpolated, linearly in the number of waves.
func ropeFactors(r ops.RoPEScaling, headDim int) []float32 {
	v := make([]float32, headDim/2)
	for i := range v {
		waves := float64(r.OriginalPositions) * math.Pow(r.Theta, -2*float64(i)/float64(headDim)) / (2 * math.Pi)
		keep := min(max((waves-r.LowFreqFactor)/(r.HighFreqFactor-r.LowFreqFactor), 0), 1)
		v[i] = float32(1 / (keep + (1-keep)/r.Factor))
	}
	return v
}

// rope reads the settings from a file, of heads of which so many elements are turned.
func (k *ggufKeys) rope(headDim int) (r ops.RoPEScaling) {
	k.ignore(ropeKindKey)
	kind := "none"
	if _, ok := k.file.Value(k.prefix + ropeKindKey); ok {
		var err error
		kind, err = gguf.Get[string](k.file, k.prefix+ropeKindKey)
		k.fail(err)
	}
	r.Theta, _ = k.float(ropeThetaKey, ptr(10000.0)).Float64()
	factor, _ := k.float(ropeFactorKey, ptr(1.0)).Float64()
	if older, _ := k.float("rope.scale_linear", ptr(1.0)).Float64(); older != 1 { // the older name of factor
		kind, factor = "linear", older
	}
	oldContext := k.int(oldContextKey, ptr(0))
	switch {
	case k.err != nil:
	case kind != "none" && kind != "linear" && kind != "longrope":
		k.fail(k.wrong(ropeKindKey, `"none", "linear" or "longrope"`, fileerror.Quote(kind)))
	case !(r.Theta > 0):
		k.fail(k.wrong(ropeThetaKey, "a number above 0", fmt.Sprint(r.Theta)))
	case k.file.Has(longFactorsName): // the converter does not always name the kind
		r.Long = k.readLongRoPE(headDim/2, oldContext)
	case kind == "longrope":
		k.fail(k.wrong(ropeKindKey, "the tensor "+longFactorsName+" beside it", "none"))
	case k.file.Has(ropeFactorsName):
		llama3, err := readRopeFactors(k.file, r.Theta, headDim, oldContext)
		k.fail(err)
		return llama3
	case kind == "linear" && !(factor > 0):
		k.fail(k.wrong(ropeFactorKey, "a number above 0", fmt.Sprint(factor)))
	case kind == "linear":
		r.Factor = factor
	}
	return r
}

// readRopeFactors finds the settings that the factors of a file come from. They do not tell all
// apart: Factor is the largest, LowFreqFactor and HighFreqFactor are taken to be 1 and 4, as in
// every LLaMA there is, and the old context, where the file does not say it, to be 8192.
func readRopeFactors(f *gguf.File, theta float64, headDim, oldContext int) (r ops.RoPEScaling, err error) {
	t, err := f.Tensor(ropeFactorsName)
	if err != nil {
		return r, err
	}
	fail := func(want, got string) (ops.RoPEScaling, error) {
		return r, &gguf.Error{File: f.Path(), Tensor: ropeFactorsName, Want: want, Got: got}
	}
	if len(t.Shape) != 1 || t.Shape[0] != headDim/2 || headDim < 2 {
		return fail(fmt.Sprintf("shape [%d]", headDim/2), fileerror.Shape(t.Shape))
	}
	got, err := t.Float32s()
	if err != nil {
		return r, err
	}
	most := got[len(got)-1]
	r = ops.RoPEScaling{
		Theta: theta, Factor: float64(most), LowFreqFactor: 1, HighFreqFactor: 4,
		OriginalPositions: cmp.Or(oldContext, 8192),
	}
	for i, want := range ropeFactors(r, headDim) {
		if !(math.Abs(float64(got[i]-want)) <= 1e-4*math.Abs(float64(want))) {
			return fail(fmt.Sprintf("factors of LLaMA 3's rule with original_max_position_embeddings %d,"+
				" low_freq_factor 1, high_freq_factor 4, so %v at %d", r.OriginalPositions, want, i),
				fmt.Sprint(got[i]))
		}
	}
	if most == 1 { // so are all
		return ops.RoPEScaling{Theta: theta}, nil
	}
	return r, nil
}

// factorsIgnored returns an error if LLaMA 3's rule stretches the rotary embeddings, for the
// families in which llama.cpp passes over the factors.
func factorsIgnored(c *Config) error {
	if c.RoPE.OriginalPositions == 0 {
		return nil
	}
	return &Error{
		Field: "rope_scaling",
		Want:  `"default" or "linear": llama.cpp does not stretch a ` + c.ModelType + " by LLaMA 3's rule",
		Got:   `"llama3"`,
	}
}
