package quant

import (
	"encoding/binary"
	"math"

	"github.com/agora-ml/agora/internal/half"
)

// The quantizers of K-quants are this package's own: a format says how blocks are read, not how they are made.
// Each group's levels are those of the least weighted squared error among some candidates, whose integers are
// given and whose scale (and least number) then follow by least squares; large numbers weigh more. Then the
// scales of the groups are rounded to those that a block can hold, and the integers are taken once more.

// appendQ4_K makes blocks of Q4_K.
func appendQ4_K(dst []byte, values []float32) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, len(values)/256*144)...)
	for ; len(values) >= 256; values, at = values[256:], at+144 {
		b := dst[at : at+144]
		var steps, leasts [8]float64
		for j := range 8 {
			steps[j], leasts[j] = affineLevels(values[32*j:32*j+32], 15)
		}
		d, ok := putScale(b, largest(steps[:])/63)
		dmin, okMin := putScale(b[2:], largest(leasts[:])/63)
		if !ok || !okMin {
			return dst[:at], &ScaleError{Value: extreme(values[:256])}
		}
		for j := range 8 {
			s, l := sixBit(steps[j], d), sixBit(leasts[j], dmin)
			putSixBits(b[4:16], j, s, l)
			step, least, shift := float64(s)*d, float64(l)*dmin, j%2*4
			for i, x := range values[32*j : 32*j+32] {
				b[16+j/2*32+i] |= byte(nearest(float64(x)+least, step, 0, 15)) << shift
			}
		}
	}
	return dst, nil
}

// appendQ6_K makes blocks of Q6_K.
func appendQ6_K(dst []byte, values []float32) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, len(values)/256*210)...)
	for ; len(values) >= 256; values, at = values[256:], at+210 {
		b := dst[at : at+210]
		var steps [16]float64
		most := 0.0
		for g := range steps {
			steps[g] = symmetricLevels(values[16*g:16*g+16], 32)
			if !math.IsNaN(most) && !(math.Abs(steps[g]) <= math.Abs(most)) { // a NaN stays
				most = steps[g]
			}
		}
		d, ok := putScale(b[208:], most/-128)
		if !ok {
			return dst[:at], &ScaleError{Value: extreme(values[:256])}
		}
		for g := range steps {
			s := nearest(steps[g], d, -128, 127)
			b[192+g] = byte(s)
			n, place := g/8, g%8*16
			for i, x := range values[16*g : 16*g+16] {
				q := nearest(float64(x), float64(s)*d, -32, 31) + 32
				b[64*n+place%64+i] |= byte(q&15) << (place / 64 * 4)
				b[128+32*n+place%32+i] |= byte(q>>4) << (place / 32 * 2)
			}
		}
	}
	return dst, nil
}

// nearest is the integer q from least to most for which q·step is nearest to x; 0 if step is 0.
func nearest(x, step float64, least, most int) int {
	if step == 0 {
		return 0
	}
	return int(min(max(math.RoundToEven(x/step), float64(least)), float64(most)))
}

// sixBit is the scale, of six bits, of a group.
func sixBit(x, unit float64) byte { return byte(nearest(x, unit, 0, 63)) }

// putSixBits is the inverse of sixBits, into bytes of zeros.
func putSixBits(b []byte, j int, scale, least byte) {
	if j < 4 {
		b[j] |= scale
		b[j+4] |= least
		return
	}
	b[j+4] |= scale&15 | least<<4
	b[j-4] |= scale >> 4 << 6
	b[j] |= least >> 4 << 6
}

// putScale writes a scale as F16 and gives what it has become; false if that is not finite.
func putScale(b []byte, d float64) (float64, bool) {
	h := half.ToF16(float32(d))
	binary.LittleEndian.PutUint16(b, h)
	return float64(half.FromF16(h)), h&0x7c00 != 0x7c00
}

func largest(values []float64) (most float64) {
	for _, v := range values {
		if most = max(most, v); math.IsNaN(v) {
			return v
		}
	}
	return most
}

// candidates are how many widths of the range of levels are tried, to both sides of the range of the numbers.
const candidates = 10

// weightsOf makes errors of large numbers count more, which outputs depend on more.
func weightsOf(values []float32) (w [32]float64) {
	sum := 0.0
	for _, x := range values {
		sum += float64(x) * float64(x)
	}
	typical := math.Sqrt(sum / float64(len(values)))
	for i, x := range values {
		w[i] = typical + math.Abs(float64(x))
	}
	return w
}

// affineLevels are step and least, neither negative, of levels q·step - least, q from 0 to most. NaN and
// infinities become NaN.
func affineLevels(values []float32, most int) (step, least float64) {
	low, high := 0.0, math.Inf(-1)
	for _, x := range values {
		low, high = min(low, float64(x)), max(high, float64(x))
	}
	if !(high-low <= math.MaxFloat32) {
		return math.NaN(), math.NaN()
	}
	if high <= low {
		return 0, -low
	}
	w, best := weightsOf(values), math.Inf(1)
	for c := -candidates; c <= candidates; c++ {
		s, l := (high-low)/(float64(most)+0.1*float64(c)), -low
		for range 2 { // the integers of better levels make them better still
			var rest float64
			s, l, rest = fitLevels(values, &w, most, s, l)
			if s > 0 && rest < best {
				best, step, least = rest, s, l
			}
		}
	}
	if math.IsInf(best, 1) {
		return (high - low) / float64(most), -low
	}
	return step, least
}

// fitLevels gives the numbers the nearest of the levels, and then the levels the least squared error, rest.
func fitLevels(values []float32, w *[32]float64, most int, s, l float64) (step, least, rest float64) {
	var sw, sq, sqq, sx, sqx, sxx float64 // weighted sums
	for i, x := range values {
		q, x := float64(nearest(float64(x)+l, s, 0, most)), float64(x)
		sw, sq, sqq = sw+w[i], sq+w[i]*q, sqq+w[i]*q*q
		sx, sqx, sxx = sx+w[i]*x, sqx+w[i]*q*x, sxx+w[i]*x*x
	}
	determinant := sw*sqq - sq*sq
	if !(determinant > 0) {
		return s, l, math.Inf(1)
	}
	step, least = (sw*sqx-sq*sx)/determinant, (sq*sqx-sqq*sx)/determinant
	if least < 0 { // it cannot be: the levels begin at 0 then
		step, least = sqx/sqq, 0
	}
	return step, least, sxx + step*step*sqq + least*least*sw - 2*step*sqx + 2*least*sx - 2*step*least*sq
}

// symmetricLevels is the step, of either sign, of levels q·step, q from -most to most-1: the number of largest
// magnitude is near -most.
func symmetricLevels(values []float32, most int) (step float64) {
	top := float64(extreme(values))
	if top == 0 || math.IsNaN(top) || math.IsInf(top, 0) {
		return top - top
	}
	best := math.Inf(-1)
	for c := -candidates; c <= candidates; c++ {
		unit := -top / (float64(most) + 0.1*float64(c))
		for range 2 { // as in affineLevels
			var sqx, sqq float64
			for _, x := range values {
				q, x := float64(nearest(float64(x), unit, -most, most-1)), float64(x)
				w := math.Abs(x)
				sqx, sqq = sqx+w*q*x, sqq+w*q*q
			}
			if sqq == 0 {
				break
			}
			if unit = sqx / sqq; sqx*unit > best { // what the error is less by
				best, step = sqx*unit, unit
			}
		}
	}
	return step
}
