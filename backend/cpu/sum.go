package cpu

import "github.com/agora-ml/agora/shaders"

func init() { plain(sum[float32], sum[float64]) }

// sum: y[o, i] (+)= scale * Σ_n x[o, n, i], in order of n.
func sum[F float](w *work, k shaders.Sum, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Outer*k.Inner, max(1, grain/k.N), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			o, i := r/k.Inner, r%k.Inner
			s := F(0)
			for n := range k.N {
				s += x[(o*k.N+n)*k.Inner+i]
			}
			s *= F(k.Scale)
			if k.Acc {
				s += y[r]
			}
			y[r] = s
		}
	})
}
