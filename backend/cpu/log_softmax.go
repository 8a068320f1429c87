package cpu

import (
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

func init() {
	plain(logSoftmax[float32], logSoftmax[float64])
	plain(logSoftmaxGrad[float32], logSoftmaxGrad[float64])
}

// logSoftmax: y = x - max x - log Σ e^(x - max x), row by row.
func logSoftmax[F float](w *work, k kernels.LogSoftmax, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row, out := x[r*k.Dim:(r+1)*k.Dim], y[r*k.Dim:(r+1)*k.Dim]
			largest, total := largestOf(row), 0.0
			for _, v := range row {
				total += math.Exp(float64(v - largest))
			}
			for i, v := range row {
				out[i] = v - largest - F(math.Log(total))
			}
		}
	})
}

// logSoftmaxGrad: dx = dy - e^y Σ dy, row by row.
func logSoftmaxGrad[F float](w *work, k kernels.LogSoftmaxGrad, a args[F]) {
	dx, dy, y := a.f[0], a.f[1], a.f[2]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			total := F(0)
			for _, v := range dy[r*k.Dim : (r+1)*k.Dim] {
				total += v
			}
			for i := r * k.Dim; i < (r+1)*k.Dim; i++ {
				dx[i] = dy[i] - F(math.Exp(float64(y[i])))*total
			}
		}
	})
}
