package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() {
	plain(maximum[float32], maximum[float64])
	plain(maximumGrad[float32], maximumGrad[float64])
}

// maximum: y[o, i] = the first largest of x[o, :, i] and its place; a NaN is larger
// than any number.
func maximum[F float](w *work, k kernels.Max, a args[F]) {
	y, index, x := a.f[0], a.i[1], a.f[2]
	w.team.Rows(k.Outer*k.Inner, max(1, grain/k.N), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := x[r/k.Inner*k.N*k.Inner+r%k.Inner:]
			best, at := row[0], 0
			for n := 1; n < k.N && best == best; n++ {
				if v := row[n*k.Inner]; v > best || v != v {
					best, at = v, n
				}
			}
			if y != nil {
				y[r] = best
			}
			if index != nil {
				index[r] = int32(at)
			}
		}
	})
}

// maximumGrad: dx[o, n, i] = dy[o, i] where n is the index, else 0.
func maximumGrad[F float](w *work, k kernels.MaxGrad, a args[F]) {
	dx, dy, index := a.f[0], a.f[1], a.i[2]
	w.team.Rows(k.Outer*k.N, max(1, grain/k.Inner), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			o, n := r/k.N, r%k.N
			for i := range k.Inner {
				dx[r*k.Inner+i] = 0
				if int(index[o*k.Inner+i]) == n {
					dx[r*k.Inner+i] = dy[o*k.Inner+i]
				}
			}
		}
	})
}
