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

const (
	ropeThetaKey  = "rope.freq_base"
	ropeKindKey   = "rope.scaling.type"
	ropeFactorKey = "rope.scaling.factor"
	oldContextKey = "rope.scaling.original_context_length"
)

// ropeMetadata is the keys, with this prefix, and the tensors that say the settings.
func ropeMetadata(prefix string, r ops.RoPEScaling, headDim int) ([]gguf.KeyValue, []gguf.Tensor, error) {
	r.Theta = cmp.Or(r.Theta, 10000)
	out := []gguf.KeyValue{{Key: prefix + ropeThetaKey, Value: float32(r.Theta)}}
	switch {
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

// rope reads the settings from a file.
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
	case kind != "none" && kind != "linear":
		k.fail(k.wrong(ropeKindKey, `"none" or "linear"`, fileerror.Quote(kind)))
	case !(r.Theta > 0):
		k.fail(k.wrong(ropeThetaKey, "a number above 0", fmt.Sprint(r.Theta)))
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
