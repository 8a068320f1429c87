package cpu

import (
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

func init() {
	plain(gather[float32], gather[float64])
	plain(scatterAdd[float32], scatterAdd[float64])
}

// gather: y[o, j, i] = x[o, index[o, j, i], i], NaN for an index outside.
func gather[F float](w *work, k kernels.Gather, a args[F]) {
	y, x, index := a.f[0], a.f[1], a.i[2]
	w.team.Rows(len(y), grain, func(lo, hi int) {
		for e := lo; e < hi; e++ {
			o, i, at := e/(k.M*k.Inner), e%k.Inner, int(index[e])
			y[e] = F(math.NaN())
			if at >= 0 && at < k.N {
				y[e] = x[(o*k.N+at)*k.Inner+i]
			}
		}
	})
}

// scatterAdd: y[o, k, i] = base[o, k, i] + Σ x[o, j, i] over the j with index[o, j, i] = k, in order
// of j. A task owns rows (o, i) as a whole, so that no two add to one element.
func scatterAdd[F float](w *work, k kernels.ScatterAdd, a args[F]) {
	y, x, index, base := a.f[0], a.f[1], a.i[2], a.f[3]
	w.team.Rows(k.Outer*k.Inner, max(1, grain/(k.N+k.M)), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			o, i := r/k.Inner, r%k.Inner
			for n := range k.N {
				e := (o*k.N+n)*k.Inner + i
				y[e] = 0
				if base != nil {
					y[e] = base[e]
				}
			}
			for j := range k.M {
				e := (o*k.M+j)*k.Inner + i
				if at := int(index[e]); at >= 0 && at < k.N {
					y[(o*k.N+at)*k.Inner+i] += x[e]
				}
			}
		}
	})
}
