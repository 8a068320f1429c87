package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Sum adds up dimension dim, which the result no longer has; without dim it adds up
// everything to one number of shape []. A negative dim counts from the end.
func Sum(x *Var, dim ...int) *Var { return apply(sum{reduce("sum", x.Tensor(), dim), 1}, x) }

// Mean is Sum divided by the number of elements added up.
func Mean(x *Var, dim ...int) *Var {
	r := reduce("mean", x.Tensor(), dim)
	return apply(sum{r, 1 / float32(r.n)}, x)
}

type sum struct {
	reduced
	scale float32
}

func (s sum) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.New(f.In[0].DType(), s.shape...)
	f.Run(kernels.Sum{Outer: s.outer, N: s.n, Inner: s.inner, Scale: s.scale}, y, f.In[0])
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (sum) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (s sum) Backward(b *autograd.Backward) {
	b.Run(kernels.Expand{Outer: s.outer, N: s.n, Inner: s.inner, Scale: s.scale}, b.Grad(0), b.DOut[0])
}

func (sum) Examples() []autograd.Example {
	example := func(name string, f func(x *Var, dim ...int) *Var, shape []int, dim ...int) autograd.Example {
		return autograd.Example{
			Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return f(in[0], dim...) }),
		}
	}
	brief := func(name string, shape []int, dim int) autograd.Example {
		e := example(name, Sum, shape, dim)
		e.Brief = true
		return e
	}
	large := func(name string, shape []int, dim int) autograd.Example {
		e := example(name, Sum, shape, dim)
		e.Large = true
		return e
	}
	return []autograd.Example{
		example("first dimension", Sum, []int{7, 3, 5}, 0),
		example("middle", Sum, []int{3, 37, 5}, 1),
		example("last", Sum, []int{3, 5, 257}, -1),
		example("everything", Sum, []int{3, 129}),
		example("one element", Sum, []int{1}, 0),
		example("mean of rows", Mean, []int{5, 67}, 1),
		example("mean of columns", Mean, []int{257, 37}, 0),
		example("mean of everything", Mean, []int{7, 31}),
		example("many rows", Sum, []int{1031, 19}, 0),
		brief("long row", []int{2, 70001}, 1),
		brief("many long rows", []int{263, 1031}, 0),
		large("rows, large", []int{4096, 1024}, 1),
		large("columns, large", []int{4096, 1024}, 0),
	}
}
