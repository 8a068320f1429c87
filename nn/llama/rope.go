package llama

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/ops"
)

const ropeTypes = `"default", "linear", "dynamic", "llama3", "yarn" or "longrope"`

// ropeFields are those of rope_parameters, of all types.
var ropeFields = []string{
	"rope_type", "type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor",
	"original_max_position_embeddings", "partial_rotary_factor", "attention_factor", "beta_fast", "beta_slow",
	"mscale", "mscale_all_dim", "truncate", "llama_4_scaling_beta",
	"max_position_embeddings", "short_factor", "long_factor",
}

// rope reads rope_parameters, the newer spelling, or rope_theta, which is missing where it is not
// there, and rope_scaling, of a model of so many positions.
func (f *fields) rope(missing float64, positions int) ops.RoPEScaling {
	theta := f.positive("rope_theta", missing)
	o := f.object("rope_parameters")
	if old := f.object("rope_scaling"); o == nil {
		o = old
	} else if old != nil && !reflect.DeepEqual(o.values, old.values) {
		f.fail("rope_scaling", "the same as rope_parameters, or nothing", fileerror.Short(f.values["rope_scaling"]))
	}
	if o == nil {
		return ops.RoPEScaling{Theta: theta}
	}
	if own := o.positive("rope_theta", theta); f.has("rope_theta") && theta != own {
		f.fail("rope_theta", fmt.Sprintf("%v, as %srope_theta says", own, o.prefix), fmt.Sprint(theta))
	}
	outer := "original_max_position_embeddings" // Phi 3 has it beside the others, where it comes first
	r := o.ropeScaling(theta, f.count(outer, o.count(outer, 0)), positions)
	if f.err == nil {
		f.err = o.err
	}
	return r
}

// ropeScaling reads the settings of one object. original is original_max_position_embeddings, 0 if
// that is not there.
func (f *fields) ropeScaling(theta float64, original, positions int) ops.RoPEScaling {
	r := ops.RoPEScaling{Theta: f.positive("rope_theta", theta)}
	kind := f.str("rope_type", f.str("type", "default"))
	if kind == "su" || kind == "yarn" && f.has("long_factor") { // Phi 3's older names
		kind = "longrope"
	}
	if !slices.Contains([]string{"default", "linear", "dynamic", "llama3", "yarn", "longrope"}, kind) {
		f.fail("rope_type", ropeTypes, fmt.Sprintf("%q", kind)) // before fields that only that type has
	}
	f.known(ropeFields...)
	switch kind {
	case "linear":
		r.Factor = f.positive("factor", 0)
	case "dynamic":
		r.Dynamic = &ops.DynamicRoPE{Factor: f.positive("factor", 0), Positions: positions}
		if r.Dynamic.Factor < 1 {
			f.fail("factor", "at least 1", fmt.Sprint(r.Dynamic.Factor))
		}
	case "llama3":
		r.Factor = f.positive("factor", 0)
		r.LowFreqFactor, r.HighFreqFactor = f.positive("low_freq_factor", 0), f.positive("high_freq_factor", 0)
		r.OriginalPositions = f.size("original_max_position_embeddings", 0, math.MaxInt32)
		if r.HighFreqFactor <= r.LowFreqFactor {
			f.fail("high_freq_factor", fmt.Sprintf("more than the low_freq_factor, %v", r.LowFreqFactor),
				fmt.Sprint(r.HighFreqFactor))
		}
	case "yarn":
		r.YaRN = f.yarn(cmp.Or(original, positions))
	case "longrope":
		r.Long = f.longRoPE(cmp.Or(original, positions), positions)
	}
	return r
}

// yarn reads YaRN's settings. Its attention factor is equation 15's, and with mscale and
// mscale_all_dim the ratio of two of them, as DeepSeek has it.
func (f *fields) yarn(original int) *ops.YaRN {
	y := &ops.YaRN{
		Factor: f.positive("factor", 0), OriginalPositions: original,
		BetaFast: cmp.Or(f.number("beta_fast", 0), 32), BetaSlow: cmp.Or(f.number("beta_slow", 0), 1),
		Untruncated: !f.flag("truncate", true), QueryBeta: f.number("llama_4_scaling_beta", 0),
	}
	if !(y.BetaFast > 0 && y.BetaSlow > 0) {
		f.fail("beta_fast", "turns above 0, as beta_slow's", fmt.Sprint(y.BetaFast, y.BetaSlow))
	}
	if !(y.QueryBeta >= 0) {
		f.fail("llama_4_scaling_beta", "a number from 0 on", fmt.Sprint(y.QueryBeta))
	}
	of := func(scale float64) float64 { return 1 + 0.1*scale*math.Log(max(y.Factor, 1)) }
	y.Attention = of(1)
	if a, b := f.number("mscale", 0), f.number("mscale_all_dim", 0); a != 0 && b != 0 {
		y.Attention = of(a) / of(b)
	}
	y.Attention = f.positive("attention_factor", y.Attention)
	return y
}

// longRoPE reads LongRoPE's settings. Its attention factor is √(1 + ln(factor) / ln(original)), the
// factor being that of the positions unless it is given.
func (f *fields) longRoPE(original, positions int) *ops.LongRoPE {
	l := &ops.LongRoPE{OriginalPositions: original, Attention: 1}
	for name, into := range map[string]*[]float64{"short_factor": &l.Short, "long_factor": &l.Long} {
		const want = "a list of numbers above 0"
		if !f.get(name, want, into) {
			f.fail(name, want, "none")
		}
		if slices.ContainsFunc(*into, func(v float64) bool { return !(v > 0) }) {
			f.fail(name, want, fmt.Sprint(*into))
		}
	}
	factor := f.positive("factor", float64(positions)/float64(max(original, 1)))
	if factor > 1 && original > 1 {
		l.Attention = math.Sqrt(1 + math.Log(factor)/math.Log(float64(original)))
	}
	l.Attention = f.positive("attention_factor", l.Attention)
	return l
}

// wholeRotary refuses rotary positions that do not turn all of a head.
func (f *fields) wholeRotary() {
	only(f, "partial_rotary_factor", 1.0)
	for _, name := range []string{"rope_parameters", "rope_scaling"} {
		if o := f.object(name); o != nil {
			only(o, "partial_rotary_factor", 1.0)
			if f.err == nil {
				f.err = o.err
			}
		}
	}
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
	o := ropeParameters(r)
	set["rope_theta"], set["rope_parameters"], set["rope_scaling"] = o["rope_theta"], o, nil
	if o["rope_type"] != "default" {
		set["rope_scaling"] = o
	}
}

// ropeParameters writes the settings as one object.
func ropeParameters(r ops.RoPEScaling) map[string]any {
	o := map[string]any{"rope_type": "default", "rope_theta": cmp.Or(r.Theta, 10000)}
	switch {
	case r.YaRN != nil:
		y := r.YaRN
		o["rope_type"], o["factor"], o["original_max_position_embeddings"] = "yarn", y.Factor, y.OriginalPositions
		o["beta_fast"], o["beta_slow"], o["attention_factor"] = y.BetaFast, y.BetaSlow, y.Attention
		if y.Untruncated {
			o["truncate"] = false
		}
		if y.QueryBeta != 0 {
			o["llama_4_scaling_beta"] = y.QueryBeta
		}
	case r.Long != nil:
		l := r.Long
		o["rope_type"], o["original_max_position_embeddings"] = "longrope", l.OriginalPositions
		o["short_factor"], o["long_factor"], o["attention_factor"] = l.Short, l.Long, l.Attention
	case r.Dynamic != nil:
		o["rope_type"], o["factor"] = "dynamic", r.Dynamic.Factor
	case r.OriginalPositions != 0:
		o["rope_type"], o["factor"] = "llama3", r.Factor
		o["low_freq_factor"], o["high_freq_factor"] = r.LowFreqFactor, r.HighFreqFactor
		o["original_max_position_embeddings"] = r.OriginalPositions
	case r.Factor != 0 && r.Factor != 1:
		o["rope_type"], o["factor"] = "linear", r.Factor
	}
	return o
}
