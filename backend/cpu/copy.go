package cpu

import "github.com/agora-ml/agora/shaders"

func init() { plain(copyRows[float32], copyRows[float64]) }

// copyRows: y[yOffset + r yStride + c] = x[xOffset + r xStride + c]; the rest of y stays.
func copyRows[F float](w *work, k shaders.Copy, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.Rows, max(1, grain/k.Cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			for c := range k.Cols {
				y[k.YOffset+r*k.YStride+c] = x[k.XOffset+r*k.XStride+c]
			}
		}
	})
}
