package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Div is the elementwise a / b. The shape of b may be a suffix of a's.
func Div(a, b *Var) *Var {
	mustBeSuffix("div", a, b)
	return apply(div{}, a, b)
}

type div struct{}

func (div) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	a, b := f.In[0], f.In[1]
	y := f.Like(a)
	f.Run(kernels.Div{N: a.Numel(), M: b.Numel()}, y, a, b)
	return one(y), nil
}

// Backward: with y = a / b, da = dy / b and db = -dy y / b.
func (div) Backward(b *autograd.Backward) {
	x, dy := b.In[1], b.DOut[0]
	n, m := dy.Numel(), x.Numel()
	if da := b.Grad(0); da != nil {
		b.Run(kernels.Div{N: n, M: m}, da, dy, x)
	}
	if b.Needs[1] {
		g := b.Like(dy)
		b.Run(kernels.Mul{N: n, M: n}, g, dy, b.Out[0])
		b.Run(kernels.Div{N: n, M: m}, g, g, x)
		sumToSuffix(b, 1, g, -1)
	}
}

func (div) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return Div(in[0], in[1]) })
	example := func(name string, a, b []int) autograd.Example {
		return autograd.Example{Name: name, Call: f, In: []autograd.Input{{Shape: a}, {Shape: b, Value: awayFromZero}}}
	}
	return []autograd.Example{
		example("same shape", []int{3, 7}, []int{3, 7}),
		example("row", []int{2, 3, 67}, []int{67}),
		example("one number", []int{257}, []int{}),
	}
}

// awayFromZero gives numbers of both signs between 0.5 and 2.
func awayFromZero(_ int, r *random.Stream) float64 {
	v := 0.5 + 1.5*float64(r.Float32())
	if r.IntN(2) == 0 {
		return -v
	}
	return v
}
