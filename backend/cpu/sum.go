package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(sum[float32], sum[float64])
	fast(vectorSum)
}

// sum: y[o, i] (+)= scale * Σ_n x[o, n, i], in order of n.
func sum[F float](w *work, k kernels.Sum, a args[F]) {
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

func vectorSum(w *work, k kernels.Sum, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	if k.Inner == 1 {
		sumRows(w, k, a[0], a[1])
		return true
	}
	w.columnSums(k.Outer, k.N, k.Inner, k.Acc, a[0], k.Scale, func(s *scratch, sums []float32, r, lo, hi int) {
		vec.Add(sums, sums, s.load(a[1], r*k.Inner+lo, r*k.Inner+hi))
	})
	return true
}

// sumPiece is how many elements of a row one task adds up.
const sumPiece = 1 << 16

// sumRows adds up rows in float64, long ones in pieces.
func sumRows(w *work, k kernels.Sum, y, x tensor.Arg) {
	pieces := (k.N + sumPiece - 1) / sumPiece
	sums := make([]float64, k.Outer*pieces)
	w.tasks(len(sums), grain/min(k.N, sumPiece), func(s *scratch, from, to int) {
		for i := from; i < to; i++ {
			lo, end := i/pieces*k.N+i%pieces*sumPiece, (i/pieces+1)*k.N
			for end = min(end, lo+sumPiece); lo < end; lo += block {
				sums[i] += vec.Sum(s.load(x, lo, min(lo+block, end)))
				s.flush()
			}
		}
	})
	w.tasks(k.Outer, block, func(s *scratch, lo, hi int) {
		out := s.update(y, lo, hi)
		for i := range out {
			total := 0.0
			for _, v := range sums[(lo+i)*pieces : (lo+i+1)*pieces] {
				total += v
			}
			put(out, i, float32(total*float64(k.Scale)), k.Acc)
		}
	})
}
