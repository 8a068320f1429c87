package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Mul is the elementwise a * b. The shape of b may be a suffix of a's.
func Mul(a, b *Var) *Var {
	mustBeSuffix("mul", a, b)
	return apply(mul{}, a, b)
}

type mul struct{}

func (mul) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	a, b := f.In[0], f.In[1]
	y := f.Like(a)
	f.Run(kernels.Mul{N: a.Numel(), M: b.Numel()}, y, a, b)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (mul) BackwardReads(needs []bool) autograd.Reads {
	return autograd.Reads{In: []bool{needs[1], needs[0]}}
}

func (mul) Backward(b *autograd.Backward) {
	x, y, d := b.In[0], b.In[1], b.DOut[0]
	if dx := b.Grad(0); dx != nil {
		b.Run(kernels.Mul{N: x.Numel(), M: y.Numel()}, dx, d, y)
	}
	if b.Needs[1] {
		g := b.Like(x)
		b.Run(kernels.Mul{N: x.Numel(), M: x.Numel()}, g, d, x)
		sumToSuffix(b, 1, g, 1)
	}
}

func (mul) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return Mul(in[0], in[1]) })
	return []autograd.Example{
		{Name: "same shape", In: normal(autograd.Activation, []int{3, 7}, []int{3, 7}), Call: f},
		{Name: "row", In: normal(autograd.Activation, []int{2, 3, 67}, []int{67}), Call: f},
		{Name: "square", In: normal(autograd.Activation, []int{9}),
			Call: call(func(in []*Var) *Var { return Mul(in[0], in[0]) })},
		{Name: "large, row", In: normal(autograd.Activation, []int{4096, 1024}, []int{1024}), Call: f, Large: true},
	}
}
