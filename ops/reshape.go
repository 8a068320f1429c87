package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// Reshape is x under other dimensions with as many elements; one may be -1 and
// follows from the others. It shares x's memory: nothing is copied.
func Reshape(x *Var, shape ...int) *Var { return apply(reshape{shape}, x) }

type reshape struct{ shape []int }

func (r reshape) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	return one(f.In[0].Reshape(r.shape...)), nil
}

// BackwardReads implements autograd.Selective.
func (reshape) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (reshape) Backward(b *autograd.Backward) {
	b.SetGrad(0, b.DOut[0].Reshape(b.In[0].Shape()...))
}

func (reshape) Examples() []autograd.Example {
	return []autograd.Example{
		{Name: "split", In: normal(autograd.Activation, []int{3, 14}),
			Call: call(func(in []*Var) *Var { return Reshape(in[0], 3, 2, -1) })},
		{
			Name: "one memory under two shapes", In: normal(autograd.Activation, []int{6, 5}),
			Call: call(func(in []*Var) *Var { return MatMul(in[0], Reshape(in[0], 5, 6), false, false) }),
		},
	}
}
