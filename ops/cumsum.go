package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// CumSum is the sums of the elements up to and including each one along dimension dim.
func CumSum(x *Var, dim int) *Var { return apply(cumSum{reduce("cumsum", x.Tensor(), []int{dim})}, x) }

type cumSum struct{ reduced }

func (c cumSum) Forward(f *Fwd) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.CumSum{Outer: c.outer, N: c.n, Inner: c.inner}, y, f.In[0])
	return one(y), nil
}

// Backward: an element is in every sum from its own on.
func (c cumSum) Backward(b *Back) {
	b.Run(kernels.CumSum{Outer: c.outer, N: c.n, Inner: c.inner, Reverse: true}, b.Grad(0), b.DOut[0])
}

func (cumSum) Examples() []Example {
	example := func(name string, dim int, shape ...int) Example {
		return Example{Name: name, In: normal(autograd.Activation, shape), Call: call(func(in []*Var) *Var { return CumSum(in[0], dim) })}
	}
	return []Example{
		example("last dimension", -1, 5, 67),
		example("first", 0, 7, 3),
		example("middle", 1, 2, 37, 5),
		example("one", 0, 1),
	}
}
