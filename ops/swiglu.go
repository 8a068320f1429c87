package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// SwiGLU is silu(gate) * up, of one shape. Shazeer, 2002.05202.
func SwiGLU(gate, up *Var) *Var {
	if !gate.Tensor().SameShape(up.Tensor()) {
		tensor.Panicf("swiglu", "gate %s and up %s: want one shape", gate.Tensor(), up.Tensor())
	}
	return apply(swiglu{}, gate, up)
}

type swiglu struct{}

func (swiglu) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.SwiGLU{N: y.Numel()}, y, f.In[0], f.In[1])
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (swiglu) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{In: []bool{true, true}}
}

// CheapAgain implements autograd.Cheap.
func (swiglu) CheapAgain() {}

func (swiglu) Backward(b *autograd.Backward) {
	dgate, dup := b.GradOver(0), b.GradOver(1)
	b.Run(kernels.SwiGLUGrad{N: dgate.Numel()}, dgate, dup, b.DOut[0], b.In[0], b.In[1])
}

func (swiglu) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return SwiGLU(in[0], in[1]) })
	example := func(name string, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: normal(autograd.Activation, shape, shape), Call: f}
	}
	large := example("large", 2048, 2816)
	large.Large = true
	return []autograd.Example{
		example("rows", 3, 37),
		example("one", 1),
		example("prime", 7, 257),
		large,
	}
}
