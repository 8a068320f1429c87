package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Flip is x with the order along dimension dim reversed.
func Flip(x *Var, dim int) *Var { return apply(flip{reduce("flip", x.Tensor(), []int{dim})}, x) }

type flip struct{ reduced }

func (p flip) kernel() kernels.Flip { return kernels.Flip{Outer: p.outer, N: p.n, Inner: p.inner} }

func (p flip) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(p.kernel(), y, f.In[0])
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (flip) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (p flip) Backward(b *autograd.Backward) { b.Run(p.kernel(), b.Grad(0), b.DOut[0]) }

func (flip) Examples() []autograd.Example {
	example := func(name string, dim int, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return Flip(in[0], dim) })}
	}
	return []autograd.Example{
		example("last dimension", -1, 5, 67),
		example("first", 0, 4, 3, 7),
		example("middle", 1, 2, 5, 3),
		example("one", 0, 1),
	}
}
