package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Sub is a - b. The shape of b may be a suffix of a's.
func Sub(a, b *Var) *Var {
	mustBeSuffix("sub", a, b)
	return apply(sub{}, a, b)
}

type sub struct{}

func (sub) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	a, b := f.In[0], f.In[1]
	y := f.Like(a)
	f.Run(kernels.Sub{N: a.Numel(), M: b.Numel()}, y, a, b)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (sub) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (sub) Backward(b *autograd.Backward) {
	b.SetGrad(0, b.DOut[0])
	sumToSuffix(b, 1, b.DOut[0], -1)
}

func (sub) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return Sub(in[0], in[1]) })
	return []autograd.Example{
		{Name: "same shape", In: normal(autograd.Activation, []int{3, 7}, []int{3, 7}), Call: f},
		{Name: "row", In: normal(autograd.Activation, []int{2, 3, 67}, []int{67}), Call: f},
		{Name: "one number", In: normal(autograd.Activation, []int{257}, []int{}), Call: f},
		{Name: "from itself", In: normal(autograd.Activation, []int{5}),
			Call: call(func(in []*Var) *Var { return Sub(in[0], in[0]) })},
	}
}
