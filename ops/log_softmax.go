package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// LogSoftmax is the logarithm of Softmax over the last dimension, without its underflow.
func LogSoftmax(x *Var) *Var { return apply(logSoftmax{}, x) }

type logSoftmax struct{}

func (logSoftmax) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	y := f.Like(x)
	f.Run(kernels.LogSoftmax{Rows: x.Numel() / x.Dim(-1), Dim: x.Dim(-1)}, y, x)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (logSoftmax) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{Out: []bool{true}}
}

func (logSoftmax) Backward(b *autograd.Backward) {
	y := b.Out[0]
	b.Run(kernels.LogSoftmaxGrad{Rows: y.Numel() / y.Dim(-1), Dim: y.Dim(-1)}, b.Grad(0), b.DOut[0], y)
}

func (logSoftmax) Examples() []autograd.Example {
	example := func(name string, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return LogSoftmax(in[0]) })}
	}
	// The one column's output and gradient are 0 exactly: rounding alone would be compared.
	return []autograd.Example{
		example("rows", 2, 3, 19),
		example("one row", 257),
		example("prime", 5, 521),
	}
}
