package ops

import (
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Gather takes elements of x along dimension dim: y[…,j,…] = x[…,index[…,j,…],…]. index is i32 and of
// x's shape but for that dimension; so is the result. An index outside gives NaN.
func Gather(x *Var, dim int, index *Var) *Var {
	return apply(gather{along("gather", x.Tensor(), dim, index.Tensor())}, x, index)
}

// along cuts x and an index of the same shape but for one dimension there; m is the index's.
type indexed struct {
	reduced
	m int
}

func along(op string, x *tensor.Tensor, dim int, index *tensor.Tensor) indexed {
	d := dimension(op, x, dim)
	shape := index.Shape()
	if len(shape) == x.Rank() {
		shape[d] = x.Dim(d)
	}
	if index.DType() != tensor.I32 || !slices.Equal(shape, x.Shape()) {
		tensor.Panicf(op, "index %s for %s along dimension %d: want i32 of that shape, but for the dimension", index, x,
			d)
	}
	return indexed{reduce(op, x, []int{d}), index.Dim(d)}
}

type gather struct{ indexed }

func (g gather) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, index := f.In[0], f.In[1]
	y := f.New(x.DType(), index.Shape()...)
	f.Run(kernels.Gather{Outer: g.outer, N: g.n, M: g.m, Inner: g.inner}, y, x, index)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (gather) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{In: []bool{false, true}}
}

func (g gather) Backward(b *autograd.Backward) {
	b.Run(kernels.ScatterAdd{Outer: g.outer, N: g.n, M: g.m, Inner: g.inner}, b.Grad(0), b.DOut[0], b.In[1], nil)
}

func (gather) Examples() []autograd.Example {
	example := func(name string, dim, n int, shape ...int) autograd.Example {
		index := slices.Clone(shape)
		if index[dim] = n; n == 0 {
			index[dim] = 1
		}
		return autograd.Example{Name: name, In: []autograd.Input{{Shape: shape}, indexInput(index, shape[dim])},
			Call: call(func(in []*Var) *Var { return Gather(in[0], dim, in[1]) })}
	}
	return []autograd.Example{
		example("a class of each row", 1, 1, 7, 19),
		example("more than there are", 0, 37, 5, 3),
		example("middle", 1, 4, 2, 9, 5),
		example("one", 0, 1, 1),
	}
}

// indexInput is numbers below n; the last one is never drawn, others are more than once.
func indexInput(shape []int, n int) autograd.Input {
	return autograd.Input{Shape: shape, Kind: autograd.Index,
		Value: func(_ int, r *random.Stream) float64 { return float64(r.IntN(max(1, n-1))) }}
}
