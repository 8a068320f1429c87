package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() { plain(compare[float32], compare[float64]) }

// compare: mask[i] = 1 where a[i] has the relation to b[i mod m], else 0.
func compare[F float](w *work, k kernels.Compare, a args[F]) {
	if a.i[3] != nil {
		related(w, k, a.i[0], a.i[3], a.i[4])
		return
	}
	related(w, k, a.i[0], a.f[1], a.f[2])
}

func related[E int32 | float32 | float64](w *work, k kernels.Compare, mask []int32, a, b []E) {
	holds := map[kernels.Relation]func(a, b E) bool{
		kernels.RelationEqual:        func(a, b E) bool { return a == b },
		kernels.RelationNotEqual:     func(a, b E) bool { return a != b },
		kernels.RelationLess:         func(a, b E) bool { return a < b },
		kernels.RelationLessEqual:    func(a, b E) bool { return a <= b },
		kernels.RelationGreater:      func(a, b E) bool { return a > b },
		kernels.RelationGreaterEqual: func(a, b E) bool { return a >= b },
	}[k.Relation]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			mask[i] = 0
			if holds(a[i], b[i%k.M]) {
				mask[i] = 1
			}
		}
	})
}
