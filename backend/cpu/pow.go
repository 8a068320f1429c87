package cpu

import (
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

func init() {
	plain(pow[float32], pow[float64])
	plain(powGrad[float32], powGrad[float64])
}

// pow: y = x^p.
func pow[F float](w *work, k kernels.Pow, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = F(math.Pow(float64(x[i]), float64(k.Exponent)))
		}
	})
}

// powGrad: dx = dy p x^(p-1), 0 where p is.
func powGrad[F float](w *work, k kernels.PowGrad, a args[F]) {
	dx, dy, x := a.f[0], a.f[1], a.f[2]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dx[i] = 0
			if p := float64(k.Exponent); p != 0 {
				dx[i] = dy[i] * F(p*math.Pow(float64(x[i]), p-1))
			}
		}
	})
}
