package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Embedding looks up rows of a table [vocab, dim] by ids (i32) of any shape; the
// result is [ids' shape, dim] in the table's dtype, f32 from a quantized table. An
// id outside the table gives NaN.
func Embedding(table, ids *Var) *Var {
	dt := table.Tensor().DType()
	if !dt.IsFloat() {
		dt = tensor.F32
	}
	return EmbeddingAs(table, ids, dt)
}

// EmbeddingAs is Embedding with the result in another dtype.
func EmbeddingAs(table, ids *Var, dt tensor.DType) *Var {
	if table.Tensor().Rank() != 2 {
		tensor.Panicf("embedding", "table %s: want [vocab, dim]", table.Tensor())
	}
	if ids.Tensor().DType() != tensor.I32 {
		tensor.Panicf("embedding", "ids %s: want i32", ids.Tensor())
	}
	if !dt.IsFloat() {
		tensor.Panicf("embedding", "a result in %s: want a float type", dt)
	}
	return apply(embedding{dt}, table, ids)
}

type embedding struct{ dt tensor.DType } // of the result

func (e embedding) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	table, ids := f.In[0], f.In[1]
	y := f.New(e.dt, append(ids.Shape(), table.Dim(1))...)
	f.Run(kernels.Embedding{Rows: ids.Numel(), Dim: table.Dim(1), Vocab: table.Dim(0)}, y, table, ids)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (embedding) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{In: []bool{false, true}}
}

func (embedding) Backward(b *autograd.Backward) {
	table, ids := b.In[0], b.In[1]
	dtable, acc := b.WeightGrad(0)
	b.Run(kernels.EmbeddingGrad{Rows: ids.Numel(), Dim: table.Dim(1), Vocab: table.Dim(0), Acc: acc}, dtable, b.DOut[0],
		ids)
}

func (embedding) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return Embedding(in[0], in[1]) })
	example := func(name string, vocab, dim int, ids ...int) autograd.Example {
		return autograd.Example{Name: name, Call: f, In: []autograd.Input{
			{Shape: []int{vocab, dim}, Kind: autograd.Weight},
			// The last row is never used, and many ids come more than once.
			{Shape: ids, Kind: autograd.Index, Value: func(_ int, r *random.Stream) float64 {
				return float64(r.IntN(max(1, vocab-1)))
			}},
		}}
	}
	large := example("large", 32000, 512, 4, 512)
	large.Large = true
	half := example("another type", 13, 64, 5)
	half.Call = call(func(in []*Var) *Var {
		dt := in[0].Tensor().DType()
		if dt != tensor.F64 { // where gradients are checked
			dt = tensor.F16
		}
		return EmbeddingAs(in[0], in[1], dt)
	})
	return []autograd.Example{
		example("repeated ids", 5, 3, 2, 7),
		example("one", 1, 1, 1),
		example("more words than ids", 263, 37, 11),
		example("wide", 11, 257, 3, 23),
		example("large blocks", 11, 512, 3, 23),
		example("whole blocks", 13, 64, 5),
		half,
		large,
	}
}
