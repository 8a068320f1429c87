package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Pow is x to a power. Negative numbers have whole powers alone: others are NaN.
func Pow(x *Var, exponent float32) *Var { return apply(pow{exponent}, x) }

type pow struct{ exponent float32 }

func (p pow) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.Pow{N: y.Numel(), Exponent: p.exponent}, y, f.In[0])
	return one(y), nil
}

func (p pow) Backward(b *autograd.Backward) {
	x := b.In[0]
	b.Run(kernels.PowGrad{N: x.Numel(), Exponent: p.exponent}, b.Grad(0), b.DOut[0], x)
}

func (pow) Examples() []autograd.Example {
	positive := func(_ int, r *random.Stream) float64 { return 0.25 + 3*float64(r.Float32()) }
	example := func(name string, exponent float32, value func(int, *random.Stream) float64,
		shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: []autograd.Input{{Shape: shape, Value: value}},
			Call: call(func(in []*Var) *Var { return Pow(in[0], exponent) })}
	}
	zeros := example("none of zeros", 0, func(int, *random.Stream) float64 { return 0 }, 3)
	return []autograd.Example{
		example("square", 2, nil, 5, 67),
		example("cube", 3, nil, 37),
		example("inverse", -1, awayFromZero, 7),
		example("inverse root", -0.5, positive, 257),
		example("fraction", 2.3, positive, 31),
		example("once", 1, nil, 1),
		zeros,
	}
}
