package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Max gives the maxima over dimension dim, which the results no longer have, and
// where they stand (i32); without dim it takes everything as one row. The first of
// equal maxima counts, and alone gets the gradient; a NaN is larger than any number.
func Max(x *Var, dim ...int) (maxima, index *Var) {
	out := autograd.Apply(maximum{reduce("max", x.Tensor(), dim), false}, x)
	return out[0], out[1]
}

// ArgMax is where the maxima of Max stand. It has no gradient.
func ArgMax(x *Var, dim ...int) *Var {
	return apply(maximum{reduce("argmax", x.Tensor(), dim), true}, autograd.Const(x.Tensor()))
}

type maximum struct {
	reduced
	indexOnly bool
}

// OpName implements autograd.Named: the type cannot be called as the builtin is.
func (maximum) OpName() string { return "max" }

func (m maximum) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	k := kernels.Max{Outer: m.outer, N: m.n, Inner: m.inner}
	index := f.New(tensor.I32, m.shape...)
	if m.indexOnly {
		f.Run(k, nil, index, f.In[0])
		return one(index), nil
	}
	y := f.New(f.In[0].DType(), m.shape...)
	f.Run(k, y, index, f.In[0])
	return []*tensor.Tensor{y, index}, nil
}

func (m maximum) Backward(b *autograd.Backward) {
	b.Run(kernels.MaxGrad{Outer: m.outer, N: m.n, Inner: m.inner}, b.Grad(0), b.DOut[0], b.Out[1])
}

func (maximum) Examples() []autograd.Example {
	// Distinct numbers far enough apart for a central difference and for bf16.
	distinct := func(i int, _ *random.Stream) float64 { return float64(i*83%257) / 32 }
	example := func(name string, value func(int, *random.Stream) float64, shape []int, dim ...int) autograd.Example {
		return autograd.Example{Name: name, In: []autograd.Input{{Shape: shape, Value: value}},
			Call: func(in []*Var) []*Var {
				y, index := Max(in[0], dim...)
				return []*Var{y, index}
			}}
	}
	// Where maxima are tied there is no central difference: only the outputs are
	// compared here, the gradient in a test of its own.
	tied := example("ties", func(i int, _ *random.Stream) float64 { return float64(i % 3 / 2) }, []int{4, 9}, 1)
	tied.In[0].NoGrad = true
	arg := func(name string, shape []int, dim ...int) autograd.Example {
		return autograd.Example{
			Name: name, In: []autograd.Input{{Shape: shape, Value: distinct, NoGrad: true}},
			Call: call(func(in []*Var) *Var { return ArgMax(in[0], dim...) }),
		}
	}
	return []autograd.Example{
		example("last dimension", distinct, []int{3, 5, 17}, -1),
		example("middle", distinct, []int{2, 19, 3}, 1),
		example("everything", distinct, []int{257}),
		example("one element", nil, []int{1, 1}, 0),
		tied,
		arg("argmax of rows", []int{5, 37}, 1),
		arg("argmax of everything", []int{7, 11}),
	}
}
