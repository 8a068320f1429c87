package ops

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Exp is e^x.
func Exp(x *Var) *Var { return apply(unary{kernels.FuncExp}, x) }

// Log is the natural logarithm.
func Log(x *Var) *Var { return apply(unary{kernels.FuncLog}, x) }

// Sqrt is the square root.
func Sqrt(x *Var) *Var { return apply(unary{kernels.FuncSqrt}, x) }

// Tanh is the hyperbolic tangent.
func Tanh(x *Var) *Var { return apply(unary{kernels.FuncTanh}, x) }

// Sigmoid is 1 / (1 + e^-x).
func Sigmoid(x *Var) *Var { return apply(unary{kernels.FuncSigmoid}, x) }

// ReLU is max(x, 0); its derivative at 0 is 0.
func ReLU(x *Var) *Var { return apply(unary{kernels.FuncReLU}, x) }

// GELU is x Φ(x), Φ being the normal distribution's exact cumulative function.
// Hendrycks and Gimpel, 1606.08415.
func GELU(x *Var) *Var { return apply(unary{kernels.FuncGELU}, x) }

// GELUTanh is GELU's approximation by tanh: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.
func GELUTanh(x *Var) *Var { return apply(unary{kernels.FuncGELUTanh}, x) }

// SiLU is x / (1 + e^-x), also called swish.
func SiLU(x *Var) *Var { return apply(unary{kernels.FuncSiLU}, x) }

type unary struct{ f kernels.Func }

func (u unary) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.Unary{N: y.Numel(), Func: u.f}, y, f.In[0])
	return one(y), nil
}

// BackwardReads implements autograd.Selective: the output where the derivative is simplest in it, else the input.
func (u unary) BackwardReads([]bool) autograd.Reads {
	switch u.f {
	case kernels.FuncExp, kernels.FuncSqrt, kernels.FuncTanh, kernels.FuncSigmoid, kernels.FuncReLU:
		return autograd.Reads{Out: []bool{true}}
	}
	return autograd.Reads{In: []bool{true}}
}

func (u unary) Backward(b *autograd.Backward) {
	z := b.In[0]
	if u.BackwardReads(b.Needs).Out != nil {
		z = b.Out[0]
	}
	b.Run(kernels.UnaryGrad{N: z.Numel(), Func: u.f}, b.Grad(0), b.DOut[0], z)
}

func (unary) Examples() []autograd.Example {
	positive := func(_ int, r *random.Stream) float64 { return 0.1 + 3*float64(r.Float32()) }
	// Not for tanh and sigmoid: near 1 their gradients would magnify the output's last bit.
	wide := func(_ int, r *random.Stream) float64 { return 3 * r.Normal() }
	var examples []autograd.Example
	for _, u := range []struct {
		f     kernels.Func
		call  func(*Var) *Var
		value func(int, *random.Stream) float64
	}{
		{kernels.FuncSiLU, SiLU, wide},
		{kernels.FuncExp, Exp, nil},
		{kernels.FuncLog, Log, positive},
		{kernels.FuncSqrt, Sqrt, positive},
		{kernels.FuncTanh, Tanh, nil},
		{kernels.FuncSigmoid, Sigmoid, nil},
		{kernels.FuncReLU, ReLU, awayFromZero},
		{kernels.FuncGELU, GELU, wide},
		{kernels.FuncGELUTanh, GELUTanh, wide},
	} {
		f := call(func(in []*Var) *Var { return u.call(in[0]) })
		for _, n := range []int{1, 257} {
			examples = append(examples, autograd.Example{
				Name: fmt.Sprintf("%s of %d", u.f, n), Call: f,
				In: []autograd.Input{{Shape: []int{n}, Value: u.value}},
			})
		}
		examples = append(examples, autograd.Example{
			Name: u.f.String() + ", large", Large: true, Call: f, In: normal(autograd.Activation, []int{4096, 1024}),
		})
	}
	return examples
}
