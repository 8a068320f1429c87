package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Cast converts x to another float dtype, to nearest even; the gradient is cast
// back. To its own dtype it is x itself.
func Cast(x *Var, dt tensor.DType) *Var {
	if !dt.IsFloat() || !x.Tensor().DType().IsFloat() {
		tensor.Panicf("cast", "%s to %s: want f32, f64, f16 or bf16", x.Tensor(), dt)
	}
	if x.Tensor().DType() == dt {
		return x
	}
	return apply(cast{dt}, x)
}

type cast struct{ dt tensor.DType }

func (c cast) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.New(c.dt, f.In[0].Shape()...)
	f.Run(kernels.Cast{N: y.Numel()}, y, f.In[0])
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (cast) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (cast) Backward(b *autograd.Backward) {
	b.Run(kernels.Cast{N: b.In[0].Numel()}, b.Grad(0), b.DOut[0])
}

func (cast) Examples() []autograd.Example {
	example := func(name string, to func(tensor.DType) tensor.DType, shape ...int) autograd.Example {
		return autograd.Example{
			Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return apply(cast{to(in[0].Tensor().DType())}, in[0]) }),
		}
	}
	// In a gradient check nothing may be rounded: f64 stays f64.
	to := func(dt tensor.DType) func(tensor.DType) tensor.DType {
		return func(from tensor.DType) tensor.DType {
			if from == tensor.F64 {
				return from
			}
			return dt
		}
	}
	return []autograd.Example{
		example("to f32", to(tensor.F32), 3, 7),
		example("to bf16", to(tensor.BF16), 257),
		example("to f16", to(tensor.F16), 257),
		example("one element", to(tensor.BF16), 1),
	}
}
