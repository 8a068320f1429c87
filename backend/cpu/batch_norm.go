package cpu

import (
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

func init() {
	plain(batchNormStats[float32], batchNormStats[float64])
	plain(batchNorm[float32], batchNorm[float64])
	plain(batchNormGrad[float32], batchNormGrad[float64])
	plain(batchNormGradWeight[float32], batchNormGradWeight[float64])
}

// channelwise calls f for every element of every channel that a task owns, in the order of images.
func channelwise(w *work, batch, channels, inner int, f func(c int, each func(func(at int)))) {
	w.team.Rows(channels, max(1, grain/(batch*inner)), func(lo, hi int) {
		for c := lo; c < hi; c++ {
			f(c, func(g func(at int)) {
				for n := range batch {
					for i := range inner {
						g((n*channels+c)*inner + i)
					}
				}
			})
		}
	})
}

// batchNormStats: mean and variance of every channel, towards which running ones move.
func batchNormStats[F float](w *work, k kernels.BatchNormStats, a args[F]) {
	mean, variance, runningMean, runningVariance, x := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4]
	n, m := float64(k.Batch*k.Inner), F(k.Momentum)
	channelwise(w, k.Batch, k.Channels, k.Inner, func(c int, each func(func(at int))) {
		sum, squares := 0.0, 0.0
		each(func(at int) { sum += float64(x[at]) })
		mean[c] = F(sum / n)
		each(func(at int) {
			d := float64(x[at]) - sum/n
			squares += d * d
		})
		variance[c] = F(squares / n)
		if runningMean != nil {
			runningMean[c] += m * (mean[c] - runningMean[c])
		}
		if runningVariance != nil {
			runningVariance[c] += m * (F(squares/max(n-1, 1)) - runningVariance[c])
		}
	})
}

// batchNorm: y = (x - mean) / sqrt(variance + eps) * weight + bias.
func batchNorm[F float](w *work, k kernels.BatchNorm, a args[F]) {
	y, x, mean, variance, weight, bias := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	w.team.Rows(k.Batch*k.Channels, max(1, grain/k.Inner), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			c := r % k.Channels
			scale, shift := 1/rootOf(variance[c], k.Eps), F(0)
			if weight != nil {
				scale *= weight[c]
			}
			if bias != nil {
				shift = bias[c]
			}
			for i := r * k.Inner; i < (r+1)*k.Inner; i++ {
				y[i] = (x[i]-mean[c])*scale + shift
			}
		}
	})
}

func rootOf[F float](variance F, eps float32) F {
	return F(math.Sqrt(float64(variance) + float64(eps)))
}

// batchNormGradWeight: dweight = Σ dy (x - mean) / sqrt(variance + eps), dbias = Σ dy.
func batchNormGradWeight[F float](w *work, k kernels.BatchNormGradWeight, a args[F]) {
	dweight, dbias, dy, x, mean, variance := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	channelwise(w, k.Batch, k.Channels, k.Inner, func(c int, each func(func(at int))) {
		products, sum := 0.0, 0.0
		each(func(at int) {
			products += float64(dy[at]) * float64(x[at]-mean[c])
			sum += float64(dy[at])
		})
		dweight[c], dbias[c] = F(products)/rootOf(variance[c], k.Eps), F(sum)
	})
}

// batchNormGrad: dx = weight r (dy - (dbias + (x - mean) r dweight) / n), r = 1 / sqrt(variance + eps).
func batchNormGrad[F float](w *work, k kernels.BatchNormGrad, a args[F]) {
	dx, dy, x, mean, variance, weight, dweight, dbias := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5], a.f[6], a.f[7]
	n := F(k.Batch * k.Inner)
	w.team.Rows(k.Batch*k.Channels, max(1, grain/k.Inner), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			c := r % k.Channels
			rstd := 1 / rootOf(variance[c], k.Eps)
			scale := rstd
			if weight != nil {
				scale *= weight[c]
			}
			for i := r * k.Inner; i < (r+1)*k.Inner; i++ {
				d := dy[i]
				if dweight != nil {
					d -= (dbias[c] + (x[i]-mean[c])*rstd*dweight[c]) / n
				}
				dx[i] = d * scale
			}
		}
	})
}
