package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(rmsNorm[float32], rmsNorm[float64])
	plain(rmsNormGrad[float32], rmsNormGrad[float64])
	plain(rmsNormGradWeight[float32], rmsNormGradWeight[float64])
	fast(vectorRMSNorm)
	fast(vectorRMSNormGrad)
	fast(vectorRMSNormGradWeight)
}

// rmsNorm: y = x * rstd * w, rstd = 1 / sqrt(mean(x²) + eps), row by row.
func rmsNorm[F float](w *work, k kernels.RMSNorm, a args[F]) {
	y, rstd, x, weight := a.f[0], a.f[1], a.f[2], a.f[3]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr, yr := x[r*k.Dim:(r+1)*k.Dim], y[r*k.Dim:(r+1)*k.Dim]
			squares := F(0)
			for _, v := range xr {
				squares += v * v
			}
			s := 1 / F(math.Sqrt(float64(squares/F(k.Dim)+F(k.Eps))))
			for i, v := range xr {
				yr[i] = v * s * weight[i]
			}
			if rstd != nil {
				rstd[r] = s
			}
		}
	})
}

// rmsNormGrad: dx = plus + rstd * (dy w - x̂ mean(dy w x̂)), x̂ = x rstd.
func rmsNormGrad[F float](w *work, k kernels.RMSNormGrad, a args[F]) {
	dx, dy, x, weight, rstd, plus := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			mean := F(0)
			for i := range k.Dim {
				mean += dy[r*k.Dim+i] * weight[i] * x[r*k.Dim+i]
			}
			mean *= rstd[r] / F(k.Dim)
			for i := range k.Dim {
				j := r*k.Dim + i
				d := rstd[r] * (dy[j]*weight[i] - x[j]*rstd[r]*mean)
				if plus != nil {
					d += plus[j]
				}
				dx[j] = d
			}
		}
	})
}

// rmsNormGradWeight: dw (+)= Σ_rows dy x rstd.
func rmsNormGradWeight[F float](w *work, k kernels.RMSNormGradWeight, a args[F]) {
	dw, dy, x, rstd := a.f[0], a.f[1], a.f[2], a.f[3]
	w.team.Rows(k.Dim, max(1, grain/k.Rows), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s := F(0)
			for r := range k.Rows {
				s += dy[r*k.Dim+i] * x[r*k.Dim+i] * rstd[r]
			}
			if k.Acc {
				s += dw[i]
			}
			dw[i] = s
		}
	})
}

func vectorRMSNorm(w *work, k kernels.RMSNorm, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	weight := w.shared.load(a[3], 0, k.Dim)
	defer w.shared.flush()
	x := asHalves(k.Dim, a[0], a[2])
	w.rowGroups(k.Rows, k.Dim, func(s *scratch, from, to, lo, hi int) {
		var rstd []float32
		if a[1].IsNil() {
			rstd = s.take(to - from)
		} else {
			rstd = f32s(a[1])[from:to]
		}
		if x != nil {
			vec.RMSNormRowsNarrow(x.Half, x.at(0, lo, hi), x.at(1, lo, hi), weight, rstd, k.Eps)
		} else {
			vec.RMSNormRows(s.store(a[0], lo, hi), s.load(a[2], lo, hi), weight, rstd, k.Eps)
		}
	})
	return true
}

func vectorRMSNormGrad(w *work, k kernels.RMSNormGrad, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	weight, rstd := w.shared.load(a[3], 0, k.Dim), f32s(a[4])
	defer w.shared.flush()
	plus, of := !a[5].IsNil(), a[:3]
	if plus {
		of = []tensor.Arg{a[0], a[1], a[2], a[5]}
	}
	x := asHalves(k.Dim, of...)
	w.rowGroups(k.Rows, k.Dim, func(s *scratch, from, to, lo, hi int) {
		if x != nil {
			var add []uint16
			if plus {
				add = x.at(3, lo, hi)
			}
			vec.RMSNormGradRowsNarrow(x.Half, x.at(0, lo, hi), x.at(1, lo, hi), x.at(2, lo, hi), weight, add, rstd[from:to])
			return
		}
		var add []float32
		if plus {
			add = s.load(a[5], lo, hi)
		}
		vec.RMSNormGradRows(s.store(a[0], lo, hi), s.load(a[1], lo, hi), s.load(a[2], lo, hi), weight, add, rstd[from:to])
	})
	return true
}

// rowGroups calls f for rows [from, to), elements [lo, hi), as many as norms take at a time.
func (w *work) rowGroups(rows, dim int, f func(s *scratch, from, to, lo, hi int)) {
	w.tasks(rows, grain/dim, func(s *scratch, first, last int) {
		for from := first; from < last; from += vec.RowsTogether {
			to := min(from+vec.RowsTogether, last)
			f(s, from, to, from*dim, to*dim)
			s.flush()
		}
	})
}

func vectorRMSNormGradWeight(w *work, k kernels.RMSNormGradWeight, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	rstd := f32s(a[3])
	w.columnSums(1, k.Rows, k.Dim, k.Acc, a[0], 1, func(s *scratch, sums []float32, r, lo, hi int) {
		lo, hi = r*k.Dim+lo, r*k.Dim+hi
		vec.MulAdd(sums, s.load(a[1], lo, hi), s.load(a[2], lo, hi), rstd[r])
	})
	return true
}
