package cpu

import (
	"github.com/agora-ml/agora/shaders"
)

func init() { plain(matmul[float32], matmul[float64]) }

// matmul: c[m, n] (+)= Σ_k op(a)[m, k] op(b)[k, n] + bias[n], for every batch.
func matmul[F float](w *work, k shaders.Matmul, x args[F]) {
	c, a, b, bias := x.f[0], x.f[1], x.f[2], x.f[3]
	am, ak, bk, bn := k.K, 1, k.N, 1 // strides
	if k.TransA {
		am, ak = 1, k.M
	}
	if k.TransB {
		bk, bn = 1, k.K
	}
	w.team.Rows(k.Batch*k.M, 1, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			batch, m := r/k.M, r%k.M
			for n := range k.N {
				s := F(0)
				for i := range k.K {
					s += a[batch*k.M*k.K+m*am+i*ak] * b[batch*k.K*k.N+i*bk+n*bn]
				}
				if bias != nil {
					s += bias[n]
				}
				if k.Acc {
					s += c[r*k.N+n]
				}
				c[r*k.N+n] = s
			}
		}
	})
}
