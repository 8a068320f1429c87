package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() { plain(where[float32], where[float64]) }

// where: y[i] = a[i mod ma] where mask[i mod mm] is not 0, else b[i mod mb]; what is nil is 0.
func where[F float](w *work, k kernels.Where, a args[F]) {
	y, mask, yes, no := a.f[0], a.i[1], a.f[2], a.f[3]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = 0
			switch chosen := mask[i%k.Mm] != 0; {
			case chosen && yes != nil:
				y[i] = yes[i%k.Ma]
			case !chosen && no != nil:
				y[i] = no[i%k.Mb]
			}
		}
	})
}
