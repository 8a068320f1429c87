package multilora

import (
	"math"
	"slices"

	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/tensor"
)

// Most levels, of 4, 5 and 6 bits, as the distance from the least to the largest.
const most4, most5, most6 = 15, 31, 63

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
	if step, levels := evenly(values); step > 0 && levels <= most5 {
		fill(off[:sampleLen], 1.5*step)
		return typeOfLevels(values, step, levels), true
	}
	const half = sampleLen / 2
	lower, _ := evenly(values[:half])
	upper, _ := evenly(values[half:])
	if lower == 0 || upper == 0 {
		return tensor.FP8, smallFloats(values, off[:sampleLen])
	}
	fill(off[:half], 1.5*lower)
	fill(off[half:sampleLen], 1.5*upper)
	return tensor.Q6_K, true
}

// typeOfLevels names the type whose group has so many levels, or more of which it uses these. Where 0 is a level they
// are of q5_0 or u4. Else they begin anywhere: at an F16, in steps of one, in q4_1 and q5_1, and in q4_k and q5_k at
// products of two scales, by which some of their groups pass for the former.
func typeOfLevels(values []float32, step, levels float64) tensor.DType {
	least, most := float64(slices.Min(values)), math.Abs(mostOf(values))
	slack := 0x1p-22 * most
	isF16 := func(x, slack float64) bool {
		return math.Abs(float64(half.FromF16(half.ToF16(float32(x))))-x) <= slack
	}
	zero := math.Round(least / step)
	onGrid := math.Abs(least-zero*step) <= slack
	four, five, room := tensor.Q4_1, tensor.Q5_1, most4-levels
	if levels > most4 {
		room = most5 - levels
	}
	switch {
	case onGrid && (levels > most4 || math.Round(most/step) == 16): // its quantizer makes the largest number a -16
		return tensor.Q5_0
	case onGrid:
		return tensor.U4
	case !isF16(step, 2*slack/levels) || !slices.ContainsFunc(steps(room), func(k float64) bool {
		return isF16(least-k*step, slack)
	}):
		four, five = tensor.Q4_K, tensor.Q5_K
	}
	if levels <= most4 {
		return four
	}
	return five
}

// steps are the numbers from 0 to most.
func steps(most float64) (list []float64) {
	for k := 0.0; k <= most; k++ {
		list = append(list, k)
	}
	return list
}

func fill(off []float64, by float64) {
	for i := range off {
		off[i] = by
	}
}

// evenly is the distance of the evenly spaced levels that numbers have, 0 if they have none, and how many steps are
// between the outer ones.
func evenly(values []float32) (step, levels float64) {
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
		levels = math.Round((most - least) / (near / parts))
		if levels > most6 {
			break
		}
		step = (most - least) / levels
		if !slices.ContainsFunc(sorted, func(v float32) bool {
			x := float64(v) - least
			return math.Abs(x-math.Round(x/step)*step) > slack
		}) {
			return step, levels
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
