package llama

import (
	"fmt"
	"math"
	"reflect"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/ops"
)

const ropeTypes = `"default", "linear" or "llama3"`

// rope reads rope_parameters, the newer spelling, or rope_theta and rope_scaling.
func (f *fields) rope() ops.RoPEScaling {
	r := ops.RoPEScaling{Theta: f.positive("rope_theta", 10000)}
	o := f.object("rope_parameters")
	if old := f.object("rope_scaling"); o == nil {
		o = old
	} else if old != nil && !reflect.DeepEqual(o.values, old.values) {
		f.fail("rope_scaling", "the same as rope_parameters, or nothing", fileerror.Short(f.values["rope_scaling"]))
	}
	if o == nil {
		return r
	}
	kind := o.str("rope_type", o.str("type", "default"))
	if kind != "default" && kind != "linear" && kind != "llama3" { // before fields that only that type has
		o.fail("rope_type", ropeTypes, fmt.Sprintf("%q", kind))
	}
	o.known("rope_type", "type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor",
		"original_max_position_embeddings", "partial_rotary_factor")
	only(o, "partial_rotary_factor", 1.0)
	theta := o.positive("rope_theta", r.Theta)
	if f.has("rope_theta") && theta != r.Theta {
		f.fail("rope_theta", fmt.Sprintf("%v, as %srope_theta says", theta, o.prefix), fmt.Sprint(r.Theta))
	}
	r.Theta = theta
	switch kind {
	case "linear":
		r.Factor = o.positive("factor", 0)
	case "llama3":
		r.Factor = o.positive("factor", 0)
		r.LowFreqFactor, r.HighFreqFactor = o.positive("low_freq_factor", 0), o.positive("high_freq_factor", 0)
		r.OriginalPositions = o.size("original_max_position_embeddings", 0, math.MaxInt32)
		if r.HighFreqFactor <= r.LowFreqFactor {
			o.fail("high_freq_factor", fmt.Sprintf("more than the low_freq_factor, %v", r.LowFreqFactor),
				fmt.Sprint(r.HighFreqFactor))
		}
	}
	if f.err == nil {
		f.err = o.err
	}
	return r
}

// positive is a number above 0; it must be there unless missing says what it is then.
func (f *fields) positive(name string, missing float64) float64 {
	v := f.number(name, missing)
	if !(v > 0) {
		got := fmt.Sprint(v)
		if !f.has(name) {
			got = "none"
		}
		f.fail(name, "a number above 0", got)
	}
	return v
}

// setRoPE adds the settings to a config.json, in both spellings.
func setRoPE(set map[string]any, r ops.RoPEScaling) {
	theta := r.Theta
	if theta == 0 {
		theta = 10000
	}
	o := map[string]any{"rope_type": "default", "rope_theta": theta}
	set["rope_theta"], set["rope_parameters"], set["rope_scaling"] = theta, o, nil
	switch {
	case r.OriginalPositions != 0:
		o["rope_type"], o["factor"] = "llama3", r.Factor
		o["low_freq_factor"], o["high_freq_factor"] = r.LowFreqFactor, r.HighFreqFactor
		o["original_max_position_embeddings"] = r.OriginalPositions
	case r.Factor != 0 && r.Factor != 1:
		o["rope_type"], o["factor"] = "linear", r.Factor
	default:
		return
	}
	set["rope_scaling"] = o
}
