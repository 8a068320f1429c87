package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(sumSquares[float32], sumSquares[float64])
	fast(sumSquaresFast)
}

// sumSquares: the sum of the squares of every block of elements. The sums are kept in
// float64: a block is long.
func sumSquares[F float](w *work, k kernels.SumSquares, a args[F]) {
	partial, x := a.f[0], a.f[1]
	w.team.Rows(len(partial), 1, func(block, _ int) {
		s := 0.0
		for _, v := range x[block*k.Block : min((block+1)*k.Block, k.N)] {
			s += float64(v) * float64(v)
		}
		partial[block] = F(s)
	})
}

func sumSquaresFast(w *work, k kernels.SumSquares, a []tensor.Arg) bool {
	if !allF32(a) {
		return false
	}
	partial, x := f32s(a[0]), f32s(a[1])
	w.team.Rows(len(partial), 1, func(block, _ int) {
		partial[block] = float32(vec.SumSquares(x[block*k.Block : min((block+1)*k.Block, k.N)]))
	})
	return true
}
