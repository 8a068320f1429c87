package vec

import "math"

// Max returns the largest element, NaN if any element is NaN, and -Inf for an
// empty slice. If that is zero and there are zeros of both signs, it is either.
func Max(x []float32) float32 { return maximum(x) }

func maximumGo(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

// Sum returns the sum of the elements, accumulated in float64.
func Sum(x []float32) float64 { return sum(x) }

func sumGo(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v)
	}
	return s
}

// SumSquares returns the sum of x[i]*x[i], accumulated in float64.
func SumSquares(x []float32) float64 { return sumSquares(x) }

func sumSquaresGo(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

// Dot returns the sum of a[i]*b[i], accumulated in float64.
func Dot(a, b []float32) float64 {
	same("Dot", len(a), len(b))
	return dot(a, b)
}

func dotGo(a, b []float32) float64 {
	b = b[:len(a)]
	var s float64
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}

// dot3Go returns the sum of a[i]*b[i]*c[i], accumulated in float64.
func dot3Go(a, b, c []float32) float64 {
	b, c = b[:len(a)], c[:len(a)]
	var s float64
	for i := range a {
		s += float64(a[i]) * float64(b[i]) * float64(c[i])
	}
	return s
}
