package ops

import (
	"math"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Clamp is min(max(x, low), high); a bound may be infinite. NaN stays NaN. Outside the bounds the
// gradient is 0.
func Clamp(x *Var, low, high float32) *Var {
	if !(low <= high) {
		tensor.Panicf("clamp", "bounds %g and %g: want the lower one first", low, high)
	}
	return apply(clamp{low, high}, x)
}

type clamp struct{ low, high float32 }

func (c clamp) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.Clamp{N: y.Numel(), Low: c.low, High: c.high}, y, f.In[0])
	return one(y), nil
}

func (c clamp) Backward(b *autograd.Backward) {
	x := b.In[0]
	b.Run(kernels.ClampGrad{N: x.Numel(), Low: c.low, High: c.high}, b.Grad(0), b.DOut[0], x)
}

func (clamp) Examples() []autograd.Example {
	example := func(name string, low, high float32, shape ...int) autograd.Example {
		// At a bound there is no central difference: halves are none.
		value := func(_ int, r *random.Stream) float64 { return float64(r.IntN(9)) - 4 + 0.25 }
		return autograd.Example{Name: name, In: []autograd.Input{{Shape: shape, Value: value}},
			Call: call(func(in []*Var) *Var { return Clamp(in[0], low, high) })}
	}
	inf := float32(math.Inf(1))
	return []autograd.Example{
		example("both bounds", -1.5, 2, 5, 67),
		example("from below", 0, inf, 37),
		example("from above", -inf, 0.5, 1),
	}
}
