package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// GatherRows is the rows of x [rows, dim] that ids (i32 [n]) name, in their order and as
// often as they name them: [n, dim]. An id outside x gives NaN.
func GatherRows(x, ids *Var) *Var {
	xt, i := x.Tensor(), ids.Tensor()
	if xt.Rank() != 2 || !xt.DType().IsFloat() {
		tensor.Panicf("gather_rows", "x is %s: want floats [rows, dim]", xt)
	}
	if i.DType() != tensor.I32 || i.Rank() != 1 {
		tensor.Panicf("gather_rows", "ids are %s: want i32 [n]", i)
	}
	return apply(gatherRows{}, x, ids)
}

type gatherRows struct{}

func (gatherRows) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, ids := f.In[0], f.In[1]
	y := f.New(x.DType(), ids.Dim(0), x.Dim(1))
	f.Run(kernels.Embedding{Rows: ids.Dim(0), Dim: x.Dim(1), Vocab: x.Dim(0)}, y, x, ids)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (gatherRows) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{In: []bool{false, true}}
}

func (gatherRows) Backward(b *autograd.Backward) {
	x, ids := b.In[0], b.In[1]
	// Sums of several rows are made in f32 and rounded once.
	sum, acc := b.WeightGrad(0)
	b.Run(kernels.EmbeddingGrad{Rows: ids.Dim(0), Dim: x.Dim(1), Vocab: x.Dim(0), Acc: acc}, sum, b.DOut[0], ids)
	if !acc && !b.AddsToParam(0) && sum.DType() != x.DType() {
		dx := b.Like(x)
		b.Run(kernels.Cast{N: x.Numel()}, dx, sum)
		b.SetGrad(0, dx)
	}
}

func (gatherRows) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return GatherRows(in[0], in[1]) })
	example := func(name string, rows, dim, n int) autograd.Example {
		return autograd.Example{Name: name, Call: f, In: []autograd.Input{
			{Shape: []int{rows, dim}},
			// The last row is never asked for, others several times.
			{Shape: []int{n}, Kind: autograd.Index, Value: func(_ int, r *random.Stream) float64 {
				return float64(r.IntN(max(1, rows-1)))
			}},
		}}
	}
	large := example("large", 2048, 512, 700)
	large.Large = true
	return []autograd.Example{
		example("fewer", 9, 5, 4),
		example("more", 3, 7, 11),
		example("one", 1, 1, 1),
		example("wide", 19, 257, 6),
		large,
	}
}
