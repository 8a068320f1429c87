package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() { plain(cumSum[float32], cumSum[float64]) }

// cumSum: y[o, k, i] = Σ x[o, j, i] over j ≤ k, or in reverse over j ≥ k.
func cumSum[F float](w *work, k kernels.CumSum, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Outer*k.Inner, max(1, grain/k.N), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			at, s := r/k.Inner*k.N*k.Inner+r%k.Inner, F(0)
			for j := range k.N {
				if k.Reverse {
					j = k.N - 1 - j
				}
				s += x[at+j*k.Inner]
				y[at+j*k.Inner] = s
			}
		}
	})
}
