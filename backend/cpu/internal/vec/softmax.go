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

// sumPiece is the elements that LogSumExp reads twice while they are in the level-1 cache; asmgen knows it as sumAhead.
const sumPiece = 2048

// LogSumExp returns log(sum(e^x[i])) without storing the terms: the
// normalizer of a cross-entropy row. It is -Inf for an empty row. The row is read from
// memory once: the sum is rescaled where a later piece of it has a larger element
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 1805.02867).
func LogSumExp(x []float32) float32 {
	m, total := float32(math.Inf(-1)), 0.0
	for rest := x; len(rest) > 0; {
		part := rest[:min(sumPiece, len(rest))]
		rest = rest[len(part):]
		switch most := max(m, maximum(part)); {
		case math.IsInf(float64(most), 1) || most != most:
			return maximum(x)
		case math.IsInf(float64(most), -1):
			continue
		case most > m:
			total *= math.Exp(float64(m) - float64(most))
			m = most
		}
		total += sumExpSub(part, m)
	}
	return float32(float64(m) + math.Log(total))
}
