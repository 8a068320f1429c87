package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(softmax[float32], softmax[float64])
	plain(softmaxGrad[float32], softmaxGrad[float64])
	fast(vectorSoftmax)
	fast(vectorSoftmaxGrad)
}

// softmax: y = e^(x - max x) / Σ e^(x - max x), row by row.
func softmax[F float](w *work, k kernels.Softmax, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr, yr := x[r*k.Dim:(r+1)*k.Dim], y[r*k.Dim:(r+1)*k.Dim]
			largest, total := largestOf(xr), F(0)
			for i, v := range xr {
				yr[i] = F(math.Exp(float64(v - largest)))
				total += yr[i]
			}
			for i := range yr {
				yr[i] /= total
			}
		}
	})
}

// softmaxGrad: dx = y (dy - Σ dy y), row by row.
func softmaxGrad[F float](w *work, k kernels.SoftmaxGrad, a args[F]) {
	dx, dy, y := a.f[0], a.f[1], a.f[2]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			dot := F(0)
			for i := r * k.Dim; i < (r+1)*k.Dim; i++ {
				dot += dy[i] * y[i]
			}
			for i := r * k.Dim; i < (r+1)*k.Dim; i++ {
				dx[i] = y[i] * (dy[i] - dot)
			}
		}
	})
}

// largestOf is the largest element, NaN if one is NaN.
func largestOf[F float](x []F) F {
	largest := x[0]
	for _, v := range x[1:] {
		largest = max(largest, v)
	}
	return largest
}

func vectorSoftmax(w *work, k kernels.Softmax, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	w.rows(k.Rows, k.Dim, func(s *scratch, _, lo, hi int) {
		vec.SoftmaxRow(s.store(a[0], lo, hi), s.load(a[1], lo, hi))
	})
	return true
}

func vectorSoftmaxGrad(w *work, k kernels.SoftmaxGrad, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	w.rows(k.Rows, k.Dim, func(s *scratch, _, lo, hi int) {
		vec.SoftmaxGradRow(s.store(a[0], lo, hi), s.load(a[1], lo, hi), s.load(a[2], lo, hi))
	})
	return true
}
