package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Softmax is e^x divided by its sum over the last dimension.
func Softmax(x *Var) *Var { return apply(softmax{}, x) }

type softmax struct{}

func (softmax) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	y := f.Like(x)
	f.Run(kernels.Softmax{Rows: x.Numel() / x.Dim(-1), Dim: x.Dim(-1)}, y, x)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (softmax) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{Out: []bool{true}}
}

func (softmax) Backward(b *autograd.Backward) {
	y := b.Out[0]
	b.Run(kernels.SoftmaxGrad{Rows: y.Numel() / y.Dim(-1), Dim: y.Dim(-1)}, b.Grad(0), b.DOut[0], y)
}

func (softmax) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return Softmax(in[0]) })
	example := func(name string, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: normal(autograd.Activation, shape), Call: f}
	}
	large := example("large", 4096, 1024)
	large.Large = true
	return []autograd.Example{
		example("rows", 2, 3, 19),
		example("one column", 3, 1),
		example("one row", 257),
		example("prime", 5, 521),
		large,
	}
}
