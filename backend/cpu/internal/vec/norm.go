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
	r := float64(rstd)
	c := r * r * r * dot3(dy, w, x) / float64(len(x))
	rmsNormGrad(dx, dy, x, w, rstd, float32(c))
}

// rmsNormGradGo sets dx[i] = rstd*dy[i]*w[i] - c*x[i].
func rmsNormGradGo(dx, dy, x, w []float32, rstd, c float32) {
	dy, x, w = dy[:len(dx)], x[:len(dx)], w[:len(dx)]
	for i := range dx {
		dx[i] = dy[i]*rstd*w[i] - c*x[i]
	}
}
