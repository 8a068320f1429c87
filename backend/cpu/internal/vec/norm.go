package vec

import "math"

// RowsTogether is how many rows of a norm the routines sum up before they write them: sums of rows do not wait for each other, but
// what is written waits for a root and a division. So many rows are in the level-1 cache.
const RowsTogether = 4

// RMSNormRows sets y[i] = x[i]*rstd*w[i] row by row, and rstd of each to 1/sqrt(mean(x^2) + eps).
func RMSNormRows(y, x, w, rstd []float32, eps float32) {
	n := len(w)
	same("RMSNormRows", n*len(rstd), len(y), len(x))
	together(len(rstd), func(from, to int) {
		for r := from; r < to; r++ {
			rstd[r] = rstdOf(sumSquares(x[r*n:(r+1)*n]), n, eps)
		}
		for r := from; r < to; r++ {
			scaleMul(y[r*n:(r+1)*n], x[r*n:(r+1)*n], w, rstd[r])
		}
	})
}

func rstdOf(squares float64, n int, eps float32) float32 {
	return float32(1 / math.Sqrt(squares/float64(n)+float64(eps)))
}

// together calls f for groups of so many rows.
func together(rows int, f func(from, to int)) {
	for r := 0; r < rows; r += RowsTogether {
		f(r, min(r+RowsTogether, rows))
	}
}

// scaleMulGo sets dst[i] = a[i] * alpha * b[i].
func scaleMulGo(dst, a, b []float32, alpha float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * alpha * b[i]
	}
}

// RMSNormGradRows sets dx to the gradient of RMSNormRows with respect to x, and adds plus, unless that is nil:
// dx[i] = rstd*dy[i]*w[i] - x[i]*rstd^3*mean(dy*w*x) + plus[i].
func RMSNormGradRows(dx, dy, x, w, plus, rstd []float32) {
	n := len(w)
	same("RMSNormGradRows", n*len(rstd), len(dx), len(dy), len(x))
	var c [RowsTogether]float32
	together(len(rstd), func(from, to int) {
		for r := from; r < to; r++ {
			c[r-from] = rmsNormGradFactor(dot3(dy[r*n:(r+1)*n], w, x[r*n:(r+1)*n]), n, rstd[r])
		}
		for r := from; r < to; r++ {
			lo, hi := r*n, (r+1)*n
			if plus == nil {
				rmsNormGrad(dx[lo:hi], dy[lo:hi], x[lo:hi], w, rstd[r], c[r-from])
			} else {
				rmsNormGradPlus(dx[lo:hi], dy[lo:hi], x[lo:hi], w, plus[lo:hi], rstd[r], c[r-from])
			}
		}
	})
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
