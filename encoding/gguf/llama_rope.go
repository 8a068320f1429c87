package gguf

import (
	"cmp"
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/fileerror"
)

// LLaMA 3's rule is not in a file's metadata. Its result is, as a tensor: what each of a
// head's frequencies is divided by.

// ropeScaling are the settings of a config.json's rope_scaling (or rope_parameters).
type ropeScaling struct {
	Type       string  `json:"rope_type,omitempty"`
	OldType    string  `json:"type,omitempty"`
	Theta      float64 `json:"rope_theta,omitempty"`
	Factor     float64 `json:"factor,omitempty"`
	LowFreq    float64 `json:"low_freq_factor,omitempty"`
	HighFreq   float64 `json:"high_freq_factor,omitempty"`
	OldContext uint32  `json:"original_max_position_embeddings,omitempty"`
}

// ropeSettings are the places of a config.json that have them.
type ropeSettings struct {
	Theta   float64      `json:"rope_theta"`
	Scaling *ropeScaling `json:"rope_scaling"`
	Newer   *ropeScaling `json:"rope_parameters"`
}

const oldContextKey = "rope.scaling.original_context_length"

// metadata are the keys, with this prefix, and the tensors that say the settings.
func (s ropeSettings) metadata(prefix string, headDim int) ([]KeyValue, []Tensor, error) {
	var r ropeScaling
	if c := cmp.Or(s.Newer, s.Scaling); c != nil {
		r = *c
	}
	theta := cmp.Or(r.Theta, s.Theta, 10000)
	out := []KeyValue{{prefix + "rope.freq_base", float32(theta)}}
	switch kind := cmp.Or(r.Type, r.OldType, "default"); kind {
	case "default":
		return out, nil, nil
	case "linear":
		return append(out, KeyValue{prefix + "rope.scaling.type", "linear"}, KeyValue{prefix + "rope.scaling.factor", float32(r.Factor)}), nil, nil
	case "llama3":
		if !(r.Factor > 0 && r.LowFreq > 0 && r.HighFreq > r.LowFreq && r.OldContext > 0) {
			return nil, nil, &Error{Key: "rope_scaling", Want: "LLaMA 3's factor, low_freq_factor below high_freq_factor and original_max_position_embeddings",
				Got: fmt.Sprintf("%+v", r)}
		}
		t, err := FromFloat32s(RopeFactorsName, F32, []int{headDim / 2}, r.factors(theta, headDim))
		return append(out, KeyValue{prefix + oldContextKey, r.OldContext}), []Tensor{t}, err
	default:
		return nil, nil, &Error{Key: "rope_scaling", Want: `"default", "linear" or "llama3"`, Got: fileerror.Quote(kind)}
	}
}

// factors is what LLaMA 3's rule divides frequencies by: 1 where the old context holds
// more than HighFreq waves, Factor where it holds fewer than LowFreq; between the two
// the frequency is interpolated, linearly in the number of waves.
func (r ropeScaling) factors(theta float64, headDim int) []float32 {
	v := make([]float32, headDim/2)
	for i := range v {
		waves := float64(r.OldContext) * math.Pow(theta, -2*float64(i)/float64(headDim)) / (2 * math.Pi)
		keep := min(max((waves-r.LowFreq)/(r.HighFreq-r.LowFreq), 0), 1)
		v[i] = float32(1 / (keep + (1-keep)/r.Factor))
	}
	return v
}

// ropeScaling reads the settings from a file: config.json's rope_scaling, nil for none.
func (k *keys) ropeScaling(headDim int) *ropeScaling {
	k.ignore("rope.scaling.type")
	kind := "none"
	if _, ok := k.file.values[k.prefix+"rope.scaling.type"]; ok {
		var err error
		kind, err = Get[string](k.file, k.prefix+"rope.scaling.type")
		k.fail(err)
	}
	theta, _ := k.float("rope.freq_base", ptr(10000.0)).Float64()
	// scale_linear is the older name of factor.
	factor, _ := k.float("rope.scaling.factor", ptr(1.0)).Float64()
	if older, _ := k.float("rope.scale_linear", ptr(1.0)).Float64(); older != 1 {
		kind, factor = "linear", older
	}
	oldContext := k.int(oldContextKey, ptr(0))
	switch {
	case k.err != nil:
		return nil
	case kind != "none" && kind != "linear":
		k.fail(&Error{File: k.file.path, Key: k.prefix + "rope.scaling.type", Want: `"none" or "linear"`, Got: fileerror.Quote(kind)})
		return nil
	case k.file.Has(RopeFactorsName):
		r, err := llama3(k.file, theta, headDim, oldContext)
		k.fail(err)
		return r
	case kind == "linear" && factor != 1:
		return &ropeScaling{Type: "linear", Factor: factor}
	}
	return nil
}

// llama3 finds the settings that the factors of a file come from. They do not tell all
// apart: Factor is the largest, LowFreq and HighFreq are taken to be 1 and 4, as in
// every LLaMA there is, and the old context, where the file does not say it, to be 8192.
func llama3(f *File, theta float64, headDim, oldContext int) (*ropeScaling, error) {
	t, err := f.Tensor(RopeFactorsName)
	if err != nil {
		return nil, err
	}
	fail := func(want, got string) (*ropeScaling, error) {
		return nil, &Error{File: f.path, Tensor: RopeFactorsName, Want: want, Got: got}
	}
	if len(t.Shape) != 1 || t.Shape[0] != headDim/2 || headDim < 2 {
		return fail(fmt.Sprintf("shape [%d]", headDim/2), fileerror.Shape(t.Shape))
	}
	got, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	most := got[len(got)-1]
	r := &ropeScaling{Type: "llama3", Factor: float64(most), LowFreq: 1, HighFreq: 4, OldContext: cmp.Or(uint32(oldContext), 8192)}
	for i, want := range r.factors(theta, headDim) {
		if !(math.Abs(float64(got[i]-want)) <= 1e-4*math.Abs(float64(want))) {
			return fail(fmt.Sprintf("factors of LLaMA 3's rule with original_max_position_embeddings %d, low_freq_factor 1, high_freq_factor 4, so %v at %d", r.OldContext, want, i),
				fmt.Sprint(got[i]))
		}
	}
	if most == 1 {
		return nil, nil // so are all
	}
	return r, nil
}
