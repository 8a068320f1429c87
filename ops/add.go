package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Add is a + b. The shape of b may be a suffix of a's.
func Add(a, b *Var) *Var {
	mustBeSuffix("add", a, b)
	return apply(add{}, a, b)
}

type add struct{}

func (add) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	a, b := f.In[0], f.In[1]
	y := f.Like(a)
	f.Run(kernels.Add{N: a.Numel(), M: b.Numel()}, y, a, b)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (add) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (add) Backward(b *autograd.Backward) {
	b.SetGrad(0, b.DOut[0])
	sumToSuffix(b, 1, b.DOut[0], 1)
}

func (add) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return Add(in[0], in[1]) })
	return []autograd.Example{
		{Name: "same shape", In: normal(autograd.Activation, []int{3, 7}, []int{3, 7}), Call: f},
		{Name: "row", In: normal(autograd.Activation, []int{2, 3, 67}, []int{67}), Call: f},
		{Name: "long row", In: normal(autograd.Activation, []int{5, 5003}, []int{5003}), Call: f, Brief: true},
		{Name: "row shorter than a block", In: normal(autograd.Activation, []int{7, 3001}, []int{3001}), Call: f,
			Brief: true},
		{Name: "twice the same", In: normal(autograd.Activation, []int{5}),
			Call: call(func(in []*Var) *Var { return Add(in[0], in[0]) })},
		{Name: "large", In: normal(autograd.Activation, []int{4096, 1024}, []int{4096, 1024}), Call: f, Large: true},
	}
}
