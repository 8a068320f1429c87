package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Scale is alpha x + beta, alpha and beta being numbers.
func Scale(x *Var, alpha, beta float32) *Var { return apply(scale{alpha, beta}, x) }

type scale struct{ alpha, beta float32 }

func (s scale) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.Scale{N: y.Numel(), Alpha: s.alpha, Beta: s.beta}, y, f.In[0])
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (scale) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (s scale) Backward(b *autograd.Backward) {
	b.Run(kernels.Scale{N: b.In[0].Numel(), Alpha: s.alpha}, b.Grad(0), b.DOut[0])
}

func (scale) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return Scale(in[0], -1.5, 0.25) })
	return []autograd.Example{
		{Name: "one", In: normal(autograd.Activation, []int{1}), Call: f},
		{Name: "prime", In: normal(autograd.Activation, []int{7, 37}), Call: f},
	}
}
