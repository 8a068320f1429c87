package vec

import "math"

// SoftmaxRow sets y to the softmax of x. A row that is -Inf throughout gives
// NaN, as the definition does.
func SoftmaxRow(y, x []float32) {
	same("SoftmaxRow", len(y), len(x))
	s := expSub(y, x, maximum(x))
	scale(y, y, float32(1/s))
}

// SoftmaxGradRow sets dx[i] = y[i] * (dy[i] - sum(dy*y)), the gradient of
// SoftmaxRow at its output y.
func SoftmaxGradRow(dx, dy, y []float32) {
	same("SoftmaxGradRow", len(dx), len(dy), len(y))
	subMul(dx, dy, y, float32(dot(dy, y)))
}

// SubMul sets dst[i] = b[i] * (a[i] - c): SoftmaxGradRow where the sum is known.
func SubMul(dst, a, b []float32, c float32) {
	same("SubMul", len(dst), len(a), len(b))
	subMul(dst, a, b, c)
}

// subMulGo sets dst[i] = b[i] * (a[i] - c).
func subMulGo(dst, a, b []float32, c float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = b[i] * (a[i] - c)
	}
}

// LogSumExp returns log(sum(e^x[i])) without storing the terms: the
// normalizer of a cross-entropy row. It is -Inf for an empty row.
func LogSumExp(x []float32) float32 {
	m := maximum(x)
	if math.IsInf(float64(m), 0) {
		return m
	}
	return float32(float64(m) + math.Log(sumExpSub(x, m)))
}
