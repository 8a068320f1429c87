package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() {
	plain(clamp[float32], clamp[float64])
	plain(clampGrad[float32], clampGrad[float64])
}

// clamp: y = min(max(x, low), high).
func clamp[F float](w *work, k kernels.Clamp, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = min(max(x[i], F(k.Low)), F(k.High))
		}
	})
}

// clampGrad: dx = dy where low ≤ x ≤ high, else 0.
func clampGrad[F float](w *work, k kernels.ClampGrad, a args[F]) {
	dx, dy, x := a.f[0], a.f[1], a.f[2]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dx[i] = dy[i]
			if x[i] < F(k.Low) || x[i] > F(k.High) {
				dx[i] = 0
			}
		}
	})
}
