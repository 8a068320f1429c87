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

// tables are the types whose numbers are those of a table times one, with the tables, and what quantizing may have
// changed a number by: half of the largest distance of levels, and a clipped end or a scale that was rounded.
var tables = []struct {
	dtype  tensor.DType
	levels [16]float64
	off    float64
}{
	{tensor.IQ4_NL, asFloats(quant.NonLinear), 18}, {tensor.NF4, asFloats(quant.NormalFloat), 0.17},
	{tensor.FP4, asFloats(quant.Float4), 0.18},
}

func asFloats[T int8 | float32](levels [16]T) (f [16]float64) {
	for i, l := range levels {
		f[i] = float64(l)
	}
	return f
}

// levels recognizes numbers of blocks that are not multiples of one F16: of q4_k and its like, whose groups have
// evenly spaced levels from any least one on, q6_k, whose groups are of 16, of those with tables, and fp8. It says what
// quantizing may have changed each of them by: their quantizers choose the levels for the least
// error as a whole, and the scale is rounded, so that a number may be a step and a half away.
func (r *rounding) levels(at int, off []float64) (tensor.DType, bool) {
	values := r.values[at : at+sampleLen]
	for _, t := range tables {
		if d := scaleOf(t.levels[:], values); d > 0 {
			fill(off[:sampleLen], t.off*d)
			return t.dtype, true
		}
	}
	if step, dt := evenly(values); step > 0 && dt < tensor.Q6_K {
		fill(off[:sampleLen], 1.5*step)
		return dt, true
	}
	const half = sampleLen / 2
	lower, a := evenly(values[:half])
	upper, b := evenly(values[half:])
	if lower == 0 || upper == 0 {
		return tensor.FP8, smallFloats(values, off[:sampleLen])
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

// scaleOf is what a table's levels are multiplied with in a block, 0 if the numbers are no such block's.
func scaleOf(levels []float64, values []float32) float64 {
	most := mostOf(values)
	for _, level := range levels {
		d := most / level
		if d != 0 && !math.IsInf(d, 0) && !slices.ContainsFunc(values, func(v float32) bool {
			return !slices.ContainsFunc(levels, func(l float64) bool {
				return math.Abs(float64(v)-l*d) <= 1e-6*math.Abs(most)
			})
		}) {
			return math.Abs(d)
		}
	}
	return 0
}

// mostOf is the number of largest magnitude.
func mostOf(values []float32) (most float64) {
	for _, v := range values {
		if math.Abs(float64(v)) > math.Abs(most) {
			most = float64(v)
		}
	}
	return most
}

// smallFloats recognizes floats of four significant bits times one scale, and says what rounding to them, with
// more than the scale of the sample's numbers, may have changed each by.
func smallFloats(values []float32, off []float64) bool {
	most := math.Abs(mostOf(values))
	for m := 8.0; m < 16; m++ {
		seen := map[int]bool{}
		if most == 0 || slices.ContainsFunc(values, func(v float32) bool {
			fraction, _ := math.Frexp(math.Abs(float64(v)) / most * m)
			bits := math.Round(16 * fraction)
			seen[int(bits)] = true
			return !(math.Abs(16*fraction-bits) <= 1e-5)
		}) || len(seen) < 5 {
			continue
		}
		for i, v := range values {
			off[i] = math.Abs(float64(v))*(0x1p-4+0x1p-8) + most*0x1p-15
		}
		return true
	}
	return false
}
