package cpu

import "github.com/agora-ml/agora/shaders"

func init() { plain(expand[float32], expand[float64]) }

// expand: y[o, n, i] = scale x[o, i].
func expand[F float](w *work, k shaders.Expand, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Outer*k.N, max(1, grain/k.Inner), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			o := r / k.N
			for i := range k.Inner {
				y[r*k.Inner+i] = F(k.Scale) * x[o*k.Inner+i]
			}
		}
	})
}
