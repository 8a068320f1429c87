package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(layerNorm[float32], layerNorm[float64])
	plain(layerNormGrad[float32], layerNormGrad[float64])
	plain(layerNormGradWeight[float32], layerNormGradWeight[float64])
	fast(vectorLayerNorm)
	fast(vectorLayerNormGrad)
	fast(vectorLayerNormGradWeight)
}

// layerNorm: y = (x - mean) rstd w + b, rstd = 1 / sqrt(variance + eps), row by row;
// the variance is the biased one.
func layerNorm[F float](w *work, k kernels.LayerNorm, a args[F]) {
	y, means, rstds, x, weight, bias := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr, yr := x[r*k.Dim:(r+1)*k.Dim], y[r*k.Dim:(r+1)*k.Dim]
			mean, variance := F(0), F(0)
			for _, v := range xr {
				mean += v
			}
			mean /= F(k.Dim)
			for _, v := range xr {
				variance += (v - mean) * (v - mean)
			}
			variance /= F(k.Dim)
			rstd := 1 / F(math.Sqrt(float64(variance+F(k.Eps))))
			for i, v := range xr {
				n := (v - mean) * rstd
				if weight != nil {
					n *= weight[i]
				}
				if bias != nil {
					n += bias[i]
				}
				yr[i] = n
			}
			if means != nil {
				means[r] = mean
			}
			if rstds != nil {
				rstds[r] = rstd
			}
		}
	})
}

// layerNormGrad: dx = rstd (g - mean(g) - n mean(g n)), g = dy w, n = (x - mean) rstd.
func layerNormGrad[F float](w *work, k kernels.LayerNormGrad, a args[F]) {
	dx, dy, x, weight, means, rstds := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			at := func(i int) (g, n F) {
				g, n = dy[r*k.Dim+i], (x[r*k.Dim+i]-means[r])*rstds[r]
				if weight != nil {
					g *= weight[i]
				}
				return g, n
			}
			meanG, meanGN := F(0), F(0)
			for i := range k.Dim {
				g, n := at(i)
				meanG += g
				meanGN += g * n
			}
			meanG /= F(k.Dim)
			meanGN /= F(k.Dim)
			for i := range k.Dim {
				g, n := at(i)
				dx[r*k.Dim+i] = rstds[r] * (g - meanG - n*meanGN)
			}
		}
	})
}

// layerNormGradWeight: dw (+)= Σ_rows dy (x - mean) rstd, db (+)= Σ_rows dy.
func layerNormGradWeight[F float](w *work, k kernels.LayerNormGradWeight, a args[F]) {
	dw, db, dy, x, means, rstds := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	w.team.Rows(k.Dim, max(1, grain/k.Rows), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			weight, bias := F(0), F(0)
			for r := range k.Rows {
				d := dy[r*k.Dim+i]
				weight += d * (x[r*k.Dim+i] - means[r]) * rstds[r]
				bias += d
			}
			put(dw, i, weight, k.Acc)
			put(db, i, bias, k.Acc)
		}
	})
}

// put stores or adds an element of an output that may not be asked for.
func put[F float](y []F, i int, v F, add bool) {
	switch {
	case y == nil:
	case add:
		y[i] += v
	default:
		y[i] = v
	}
}

func vectorLayerNorm(w *work, k kernels.LayerNorm, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	var weight, bias []float32
	if !a[4].IsNil() {
		weight = w.shared.load(a[4], 0, k.Dim)
	}
	if !a[5].IsNil() {
		bias = w.shared.load(a[5], 0, k.Dim)
	}
	defer w.shared.flush()
	w.rows(k.Rows, k.Dim, func(s *scratch, r, lo, hi int) {
		y, x := s.store(a[0], lo, hi), s.load(a[3], lo, hi)
		mean := float32(vec.Sum(x) / float64(k.Dim))
		vec.Affine(y, x, 1, -mean)
		rstd := float32(1 / math.Sqrt(vec.SumSquares(y)/float64(k.Dim)+float64(k.Eps)))
		vec.Scale(y, y, rstd)
		if weight != nil {
			vec.Mul(y, y, weight)
		}
		if bias != nil {
			vec.Add(y, y, bias)
		}
		if !a[1].IsNil() {
			f32s(a[1])[r] = mean
		}
		if !a[2].IsNil() {
			f32s(a[2])[r] = rstd
		}
	})
	return true
}

func vectorLayerNormGrad(w *work, k kernels.LayerNormGrad, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	var weight []float32
	if !a[3].IsNil() {
		weight = w.shared.load(a[3], 0, k.Dim)
	}
	defer w.shared.flush()
	means, rstds := f32s(a[4]), f32s(a[5])
	w.rows(k.Rows, k.Dim, func(s *scratch, r, lo, hi int) {
		dx, g, n := s.store(a[0], lo, hi), s.load(a[1], lo, hi), s.take(k.Dim)
		if weight != nil {
			weighted := s.take(k.Dim)
			vec.Mul(weighted, g, weight)
			g = weighted
		}
		rstd := rstds[r]
		vec.Affine(n, s.load(a[2], lo, hi), 1, -means[r])
		vec.Scale(n, n, rstd)
		meanG, meanGN := vec.Sum(g)/float64(k.Dim), vec.Dot(g, n)/float64(k.Dim)
		vec.Affine(dx, g, rstd, -rstd*float32(meanG))
		vec.Axpy(dx, n, -rstd*float32(meanGN))
	})
	return true
}

func vectorLayerNormGradWeight(w *work, k kernels.LayerNormGradWeight, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	means, rstds := f32s(a[4]), f32s(a[5])
	if !a[0].IsNil() {
		w.columnSums(1, k.Rows, k.Dim, k.Acc, a[0], 1, func(s *scratch, sums []float32, r, lo, hi int) {
			centred := s.take(hi - lo)
			lo, hi = r*k.Dim+lo, r*k.Dim+hi
			vec.Affine(centred, s.load(a[3], lo, hi), 1, -means[r])
			vec.MulAdd(sums, s.load(a[2], lo, hi), centred, rstds[r])
		})
	}
	if !a[1].IsNil() {
		w.columnSums(1, k.Rows, k.Dim, k.Acc, a[1], 1, func(s *scratch, sums []float32, r, lo, hi int) {
			vec.Add(sums, sums, s.load(a[2], r*k.Dim+lo, r*k.Dim+hi))
		})
	}
	return true
}
