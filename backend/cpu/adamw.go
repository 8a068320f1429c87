package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(adamw[float32], adamw[float64])
	fast(adamwFast)
}

// adamw: one step of decoupled weight decay, Loshchilov and Hutter, 1711.05101, in
// the order of torch.optim.AdamW. It reads the gradient as g * clip, and does nothing
// where clip is NaN.
func adamw[F float](w *work, k kernels.AdamW, a args[F]) {
	p, m, v, mirror, g := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4]
	clip := optional(a.f[5])
	if clip != clip {
		return
	}
	decay := 1 - F(k.LR)*F(k.WeightDecay)
	lr := F(k.LR) / F(k.Correction1)
	root := F(math.Sqrt(float64(k.Correction2)))
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			gi := g[i] * clip
			m[i] += (1 - F(k.Beta1)) * (gi - m[i])
			v[i] = F(k.Beta2)*v[i] + (1-F(k.Beta2))*gi*gi
			p[i] = p[i]*decay - lr*m[i]/(F(math.Sqrt(float64(v[i])))/root+F(k.Eps))
			if mirror != nil {
				mirror[i] = p[i]
			}
		}
	})
}

// optional is the one element of an argument that may be nil, which then means 1.
func optional[F float](x []F) F {
	if x == nil {
		return 1
	}
	return x[0]
}

func adamwFast(w *work, k kernels.AdamW, a []tensor.Arg) bool {
	mirror := a[3]
	if a[0].DType != tensor.F32 || !mirror.IsNil() && !mirror.DType.Is16Bit() {
		return false
	}
	p, m, v, g := f32s(a[0]), f32s(a[1]), f32s(a[2]), f32s(a[4])
	step := vec.AdamWStep{
		Clip: 1, LR: float64(k.LR), Beta1: float64(k.Beta1), Beta2: float64(k.Beta2), Eps: float64(k.Eps),
		WeightDecay: float64(k.WeightDecay), Correction1: float64(k.Correction1), Correction2: float64(k.Correction2),
	}
	if !a[5].IsNil() {
		step.Clip = f32s(a[5])[0]
	}
	if step.Clip != step.Clip {
		return true
	}
	w.team.Rows(k.N, grain, func(lo, hi int) {
		vec.AdamW(p[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi], step)
		if !mirror.IsNil() {
			round16(mirror.DType, elements[uint16](mirror)[lo:hi], p[lo:hi])
		}
	})
	return true
}
