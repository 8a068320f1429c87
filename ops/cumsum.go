package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// CumSum is the sums of the elements up to and including each one along dimension dim.
func CumSum(x *Var, dim int) *Var { return apply(cumsum{reduce("cumsum", x.Tensor(), []int{dim})}, x) }

type cumsum struct{ reduced }

func (c cumsum) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.CumSum{Outer: c.outer, N: c.n, Inner: c.inner}, y, f.In[0])
	return one(y), nil
}

// Backward: an element is in every sum from its own on.
// BackwardReads implements autograd.Selective.
func (cumsum) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (c cumsum) Backward(b *autograd.Backward) {
	b.Run(kernels.CumSum{Outer: c.outer, N: c.n, Inner: c.inner, Reverse: true}, b.Grad(0), b.DOut[0])
}

func (cumsum) Examples() []autograd.Example {
	example := func(name string, dim int, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return CumSum(in[0], dim) })}
	}
	return []autograd.Example{
		example("last dimension", -1, 5, 67),
		example("first", 0, 7, 3),
		example("middle", 1, 2, 37, 5),
		example("one", 0, 1),
	}
}
