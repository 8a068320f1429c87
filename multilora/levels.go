package multilora

import (
	"math"
	"slices"

	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/tensor"
)

// levelTypes are named for the most levels that numbers of one group have in them: other blocks with as many
// cannot be told from them.
var levelTypes = []struct {
	dtype tensor.DType
	most  float64 // distance from the least level to the largest
}{{tensor.Q4_K, 15}, {tensor.Q5_K, 31}, {tensor.Q6_K, 63}}

// levels recognizes numbers of blocks that are not multiples of one F16: of q4_k and its like, whose groups have
// evenly spaced levels from any least one on, q6_k, whose groups are of 16, and iq4_nl. It says what
// quantizing may have changed each of them by: their quantizers choose the levels for the least
// error as a whole, and the scale is rounded, so that a number may be a step and a half away.
func (r *rounding) levels(at int, off []float64) (tensor.DType, bool) {
	values := r.values[at : at+sampleLen]
	if d := nonLinear(values); d > 0 {
		fill(off[:sampleLen], 18*d) // half of the largest distance of levels, and a clipped end
		return tensor.IQ4_NL, true
	}
	if step, dt := evenly(values); step > 0 && dt < tensor.Q6_K {
		fill(off[:sampleLen], 1.5*step)
		return dt, true
	}
	const half = sampleLen / 2
	lower, a := evenly(values[:half])
	upper, b := evenly(values[half:])
	if lower == 0 || upper == 0 {
		return 0, false
	}
	fill(off[:half], 1.5*lower)
	fill(off[half:sampleLen], 1.5*upper)
	return max(a, b), true
}

func fill(off []float64, by float64) {
	for i := range off {
		off[i] = by
	}
}

// evenly is the distance of the evenly spaced levels that numbers have, 0 if they have none.
func evenly(values []float32) (step float64, dt tensor.DType) {
	sorted := slices.Compact(slices.Sorted(slices.Values(values)))
	least, most := float64(sorted[0]), float64(sorted[len(sorted)-1])
	if len(sorted) < 4 || math.IsNaN(least) || math.IsInf(most-least, 0) {
		return 0, 0
	}
	near := most - least
	for i, v := range sorted[1:] {
		near = min(near, float64(v)-float64(sorted[i]))
	}
	slack := 0x1p-22 * max(math.Abs(least), math.Abs(most)) // levels are rounded sums
	for parts := 1.0; parts <= 4; parts++ {
		levels := math.Round((most - least) / (near / parts))
		if levels > levelTypes[len(levelTypes)-1].most {
			break
		}
		step = (most - least) / levels
		if !slices.ContainsFunc(sorted, func(v float32) bool {
			x := float64(v) - least
			return math.Abs(x-math.Round(x/step)*step) > slack
		}) {
			for _, t := range levelTypes {
				if levels <= t.most {
					return step, t.dtype
				}
			}
		}
	}
	return 0, 0
}

// nonLinear is the scale of a block of iq4_nl, 0 if the numbers are none.
func nonLinear(values []float32) float64 {
	var most float32
	for _, v := range values {
		if math.Abs(float64(v)) > math.Abs(float64(most)) {
			most = v
		}
	}
	for _, level := range quant.NonLinear {
		d := float64(most) / float64(level)
		if d != 0 && !slices.ContainsFunc(values, func(v float32) bool {
			return !slices.ContainsFunc(quant.NonLinear[:], func(l int8) bool {
				return math.Abs(float64(v)-float64(l)*d) <= 1e-6*math.Abs(float64(most))
			})
		}) {
			return math.Abs(d)
		}
	}
	return 0
}
