package vec

import "math"

// RMSNormRow sets y[i] = x[i]*rstd*w[i] and returns
// rstd = 1/sqrt(mean(x^2) + eps).
func RMSNormRow(y, x, w []float32, eps float32) (rstd float32) {
	same("RMSNormRow", len(y), len(x), len(w))
	rstd = float32(1 / math.Sqrt(sumSquares(x)/float64(len(x))+float64(eps)))
	scaleMul(y, x, w, rstd)
	return rstd
}

// scaleMulGo sets dst[i] = a[i] * alpha * b[i].
func scaleMulGo(dst, a, b []float32, alpha float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * alpha * b[i]
	}
}

// RMSNormGradRow sets dx to the gradient of RMSNormRow with respect to x:
// dx[i] = rstd*dy[i]*w[i] - x[i]*rstd^3*mean(dy*w*x).
func RMSNormGradRow(dx, dy, x, w []float32, rstd float32) {
	same("RMSNormGradRow", len(dx), len(dy), len(x), len(w))
	rmsNormGrad(dx, dy, x, w, rstd, rmsNormGradFactor(dot3(dy, w, x), len(x), rstd))
}

// RMSNormGradRowPlus is RMSNormGradRow, and adds plus.
func RMSNormGradRowPlus(dx, dy, x, w, plus []float32, rstd float32) {
	same("RMSNormGradRowPlus", len(dx), len(dy), len(x), len(w), len(plus))
	rmsNormGradPlus(dx, dy, x, w, plus, rstd, rmsNormGradFactor(dot3(dy, w, x), len(x), rstd))
}

// rmsNormGradFactor is that of x, of sum(dy*w*x) over n elements.
func rmsNormGradFactor(sum float64, n int, rstd float32) float32 {
	r := float64(rstd)
	return float32(r * r * r * sum / float64(n))
}

// rmsNormGradGo sets dx[i] = rstd*dy[i]*w[i] - c*x[i].
func rmsNormGradGo(dx, dy, x, w []float32, rstd, c float32) {
	dy, x, w = dy[:len(dx)], x[:len(dx)], w[:len(dx)]
	for i := range dx {
		dx[i] = dy[i]*rstd*w[i] - c*x[i]
	}
}

// rmsNormGradPlusGo sets dx[i] = plus[i] + (rstd*dy[i]*w[i] - c*x[i]).
func rmsNormGradPlusGo(dx, dy, x, w, plus []float32, rstd, c float32) {
	dy, x, w, plus = dy[:len(dx)], x[:len(dx)], w[:len(dx)], plus[:len(dx)]
	for i := range dx {
		d := dy[i]*rstd*w[i] - c*x[i]
		dx[i] = plus[i] + d
	}
}
