package main

import (
	"math"

	"example.com/own-kernel/kernels"
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/tensor"
)

// Softsign is x / (1 + |x|), element by element: an operation of this program's own, with a shader
// and a function for the CPU.
func Softsign(x *autograd.Var) *autograd.Var { return autograd.Apply(softsign{}, x)[0] }

type softsign struct{}

func (softsign) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	y := f.Like(x)
	f.Run(kernels.Softsign{N: x.Numel()}, y, x)
	return []*tensor.Tensor{y}, nil
}

func (softsign) Backward(b *autograd.Backward) {
	x, dy := b.In[0], b.DOut[0]
	b.Run(kernels.SoftsignGrad{N: x.Numel()}, b.Grad(0), dy, x)
}

// Examples are what optest runs, on every backend.
func (softsign) Examples() []autograd.Example {
	call := func(in []*autograd.Var) []*autograd.Var { return []*autograd.Var{Softsign(in[0])} }
	return []autograd.Example{
		{Name: "rows", In: []autograd.Input{{Shape: []int{7, 37}}}, Call: call},
		{Name: "one", In: []autograd.Input{{Shape: []int{1}}}, Call: call},
	}
}

func init() {
	cpu.Register(softsignOn[float32], softsignOn[float64])
	cpu.Register(softsignGradOn[float32], softsignGradOn[float64])
}

const grain = 1 << 14 // elements that one task takes

func softsignOn[F float32 | float64](c cpu.Call[F], k kernels.Softsign) {
	y, x := c.Floats(0), c.Floats(1)
	c.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = x[i] / (1 + F(math.Abs(float64(x[i]))))
		}
	})
}

func softsignGradOn[F float32 | float64](c cpu.Call[F], k kernels.SoftsignGrad) {
	dx, dy, x := c.Floats(0), c.Floats(1), c.Floats(2)
	c.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d := 1 + F(math.Abs(float64(x[i])))
			dx[i] = dy[i] / (d * d)
		}
	})
}
