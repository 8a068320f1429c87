package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(expand[float32], expand[float64])
	fast(vectorExpand)
}

// expand: y[o, n, i] = scale x[o, i].
func expand[F float](w *work, k kernels.Expand, a args[F]) {
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

func vectorExpand(w *work, k kernels.Expand, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	if k.Inner > 1 {
		w.rows(k.Outer*k.N, k.Inner, func(s *scratch, r, lo, hi int) {
			o := r / k.N
			vec.Scale(s.store(a[0], lo, hi), s.load(a[1], o*k.Inner, (o+1)*k.Inner), k.Scale)
		})
		return true
	}
	x := w.shared.load(a[1], 0, k.Outer)
	defer w.shared.flush()
	w.blocks(k.Outer*k.N, func(s *scratch, lo, hi int) {
		y := s.store(a[0], lo, hi)
		for i := lo; i < hi; {
			o := i / k.N
			end := min(hi, (o+1)*k.N)
			fillWith(y[i-lo:end-lo], k.Scale*x[o])
			i = end
		}
	})
	return true
}
