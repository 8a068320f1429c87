package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() { plain(flip[float32], flip[float64]) }

// flip: y[o, k, i] = x[o, n-1-k, i].
func flip[F float](w *work, k kernels.Flip, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Outer*k.N, max(1, grain/k.Inner), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			from := r + k.N - 1 - 2*(r%k.N)
			copy(y[r*k.Inner:(r+1)*k.Inner], x[from*k.Inner:])
		}
	})
}
