package termplot

import (
	"math"
	"strconv"
)

// axis is the span of one direction.
type axis struct {
	lo, hi float64
	log    bool
}

// takes reports whether the axis can show v.
func (a axis) takes(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.log || v > 0)
}

// widen gives a span to an axis that has one value only.
func (a *axis) widen() {
	switch {
	case a.lo < a.hi:
	case a.log:
		a.lo, a.hi = max(a.lo/2, math.SmallestNonzeroFloat64), min(a.hi*2, math.MaxFloat64)
	default:
		d := max(math.Abs(a.lo)/10, 1e-9)
		a.lo, a.hi = max(a.lo-d, -math.MaxFloat64), min(a.hi+d, math.MaxFloat64)
	}
}

// place is where v lies on n cells; what is outside is put on the edge.
func (a axis) place(v float64, n int) int {
	lo, hi := a.lo, a.hi
	if a.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	// halves, so that the span of two huge numbers does not overflow
	share := (v/2 - lo/2) / (hi/2 - lo/2)
	return min(max(int(math.Round(share*float64(n-1))), 0), n-1)
}

// ticks are about n round numbers within the axis.
func (a axis) ticks(n int) []float64 {
	if a.log {
		if t := a.decades(n); len(t) >= 2 {
			return t
		}
	}
	return Ticks(a.lo, a.hi, n)
}

// Ticks are about n round numbers from lo to hi: multiples of 1, 2 or 5 times a power of ten.
func Ticks(lo, hi float64, n int) []float64 {
	span := hi/float64(n) - lo/float64(n)
	step := math.Pow(10, math.Floor(math.Log10(span)))
	for _, k := range []float64{1, 2, 5, 10} {
		if k*step >= span {
			step *= k
			break
		}
	}
	const slack = 1e-9 // of a step: an end that is a round number itself counts
	var t []float64
	for k := math.Ceil(lo/step - slack); k <= hi/step+slack && len(t) <= 2*n; k++ {
		t = append(t, k*step)
	}
	return t
}

// decades are powers of ten, if need be every second, third… one.
func (a axis) decades(n int) []float64 {
	from, to := math.Ceil(math.Log10(a.lo)), math.Floor(math.Log10(a.hi))
	every := max(1, math.Ceil((to-from+1)/float64(n)))
	var t []float64
	for e := from; e <= to; e += every {
		t = append(t, math.Pow(10, e))
	}
	return t
}

func (a axis) label(v float64) string { return Label(v, a.lo, a.hi) }

// Label writes a tick of an axis from lo to hi, to five digits.
func Label(v, lo, hi float64) string {
	if math.Abs(v) < 1e-12*max(math.Abs(lo), math.Abs(hi)) {
		v = 0
	}
	if size := math.Abs(v); size >= 1e5 && size < 1e9 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 5, 64)
}
