package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(swiglu[float32], swiglu[float64])
	plain(swigluGrad[float32], swigluGrad[float64])
	fast(vectorSwiGLU)
	fast(vectorSwiGLUGrad)
}

// swiglu: y = silu(gate) up.
func swiglu[F float](w *work, k kernels.SwiGLU, a args[F]) {
	y, gate, up := a.f[0], a.f[1], a.f[2]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			g := float64(gate[i])
			y[i] = F(g * sigmoid(g) * float64(up[i]))
		}
	})
}

// swigluGrad: dgate = dy up silu'(gate), dup = dy silu(gate).
func swigluGrad[F float](w *work, k kernels.SwiGLUGrad, a args[F]) {
	dgate, dup, dy, gate, up := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d, g, u := float64(dy[i]), float64(gate[i]), float64(up[i])
			dgate[i] = F(d * u * siluDerivative(g))
			dup[i] = F(d * g * sigmoid(g))
		}
	})
}

func vectorSwiGLU(w *work, k kernels.SwiGLU, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	if x := asHalves(k.N, a...); x != nil {
		w.tasks(k.N, grain, func(_ *scratch, lo, hi int) {
			vec.SwiGLUNarrow(x.Half, x.at(0, lo, hi), x.at(1, lo, hi), x.at(2, lo, hi))
		})
		return true
	}
	w.blocks(k.N, func(s *scratch, lo, hi int) {
		vec.SwiGLU(s.store(a[0], lo, hi), s.load(a[1], lo, hi), s.load(a[2], lo, hi))
	})
	return true
}

func vectorSwiGLUGrad(w *work, k kernels.SwiGLUGrad, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	if x := asHalves(k.N, a...); x != nil {
		w.tasks(k.N, grain, func(_ *scratch, lo, hi int) {
			vec.SwiGLUGradNarrow(x.Half, x.at(0, lo, hi), x.at(1, lo, hi), x.at(2, lo, hi), x.at(3, lo, hi), x.at(4, lo, hi))
		})
		return true
	}
	w.blocks(k.N, func(s *scratch, lo, hi int) {
		vec.SwiGLUGrad(s.store(a[0], lo, hi), s.store(a[1], lo, hi),
			s.load(a[2], lo, hi), s.load(a[3], lo, hi), s.load(a[4], lo, hi))
	})
	return true
}
