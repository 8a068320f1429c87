package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(sgd[float32], sgd[float64])
	fast(sgdFast)
}

// sgd: velocity = momentum * velocity + d, p -= lr * velocity, with d = g * clip +
// weight_decay * p; without a velocity p -= lr * d. It does nothing where clip is NaN.
func sgd[F float](w *work, k kernels.SGD, a args[F]) {
	p, velocity, g := a.f[0], a.f[1], a.f[2]
	clip := optional(a.f[3])
	if clip != clip {
		return
	}
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d := g[i]*clip + F(k.WeightDecay)*p[i]
			if velocity != nil {
				d += F(k.Momentum) * velocity[i]
				velocity[i] = d
			}
			p[i] -= F(k.LR) * d
		}
	})
}

// sgdFast makes several passes over a part that stays in the cache.
func sgdFast(w *work, k kernels.SGD, a []tensor.Arg) bool {
	if a[0].DType != tensor.F32 {
		return false
	}
	const part = 2048
	clip := float32(1)
	if !a[3].IsNil() {
		clip = f32s(a[3])[0]
	}
	if clip != clip {
		return true
	}
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for ; lo < hi; lo += part {
			end := min(lo+part, hi)
			p, g := f32s(a[0])[lo:end], f32s(a[2])[lo:end]
			if a[1].IsNil() {
				vec.Scale(p, p, 1-k.LR*k.WeightDecay)
				vec.Axpy(p, g, -k.LR*clip)
				continue
			}
			velocity := f32s(a[1])[lo:end]
			vec.Scale(velocity, velocity, k.Momentum)
			vec.Axpy(velocity, g, clip)
			vec.Axpy(velocity, p, k.WeightDecay)
			vec.Axpy(p, velocity, -k.LR)
		}
	})
	return true
}
