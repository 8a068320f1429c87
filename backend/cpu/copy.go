package cpu

import (
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(copyRows[float32], copyRows[float64])
	fast(fastCopyRows)
}

// copyRows: y[yOffset + r yStride + c] = x[xOffset + r xStride + c]; the rest of y stays.
func copyRows[F float](w *work, k kernels.Copy, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Rows, max(1, grain/max(1, k.Cols)), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			for c := range k.Cols {
				y[k.YOffset+r*k.YStride+c] = x[k.XOffset+r*k.XStride+c]
			}
		}
	})
}

// fastCopyRows moves whole rows of any dtype.
func fastCopyRows(w *work, k kernels.Copy, a []tensor.Arg) bool {
	switch a[0].DType.Bytes(1) {
	case 2:
		moveRows[uint16](w, k, a)
	case 4:
		moveRows[uint32](w, k, a)
	default:
		return false
	}
	return true
}

func moveRows[E any](w *work, k kernels.Copy, a []tensor.Arg) {
	y, x := elements[E](a[0])[k.YOffset:], elements[E](a[1])[k.XOffset:]
	w.team.Rows(k.Rows, max(1, grain/max(1, k.Cols)), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			copy(y[r*k.YStride:][:k.Cols], x[r*k.XStride:])
		}
	})
}
