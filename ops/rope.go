package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// RoPE turns the pairs (j, j + dim/2) of every head by the angles of its token's
// position (Su et al., "RoFormer", 2104.09864; the pairing is Hugging Face's). x is
// [batch, tokens, heads, dim], table [positions, dim] from RoPETable, positions i32
// [batch, tokens], or nil for 0, 1, 2 … in every sequence.
func RoPE(x, table, positions *Var) *Var {
	xt, tt := x.Tensor(), table.Tensor()
	if xt.Rank() != 4 || xt.Dim(3)%2 != 0 {
		tensor.Panicf("rope", "x is %s: want [batch, tokens, heads, an even dim]", xt)
	}
	if tt.Rank() != 2 || tt.Dim(1) != xt.Dim(3) {
		tensor.Panicf("rope", "table is %s for x %s: want [positions, %d]", tt, xt, xt.Dim(3))
	}
	if positions == nil && tt.Dim(0) < xt.Dim(1) {
		tensor.Panicf("rope", "the table has %d positions for %d tokens", tt.Dim(0), xt.Dim(1))
	}
	if positions != nil && !positions.Tensor().HasShape(xt.Dim(0), xt.Dim(1)) {
		tensor.Panicf("rope", "positions are %s for x %s: want [%d, %d]", positions.Tensor(), xt, xt.Dim(0), xt.Dim(1))
	}
	return apply(rope{}, x, autograd.Const(tt), positions)
}

type rope struct{}

// kernel rotates x there (sign 1) or back (sign -1).
func (rope) kernel(x, table *tensor.Tensor, sign float32) kernels.RoPE {
	return kernels.RoPE{
		Rows: x.Dim(0) * x.Dim(1), Seq: x.Dim(1), Heads: x.Dim(2), Dim: x.Dim(3), Positions: table.Dim(0), Sign: sign,
	}
}

func (r rope) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(r.kernel(y, f.In[1], 1), y, f.In[0], f.In[1], f.In[2])
	return one(y), nil
}

// Backward: the inverse of a rotation is its transpose, so the gradient turns back.
// The table is never trained.
// BackwardReads implements autograd.Selective.
func (rope) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{In: []bool{false, true, true}}
}

func (r rope) Backward(b *autograd.Backward) {
	b.Run(r.kernel(b.In[0], b.In[1], -1), b.Grad(0), b.DOut[0], b.In[1], b.In[2])
}

func (rope) Examples() []autograd.Example {
	example := func(name string, positions, batch, tokens, heads, dim int, given bool) autograd.Example {
		table := RoPETable(positions, dim, RoPEScaling{Theta: 100})
		e := autograd.Example{Name: name, In: []autograd.Input{
			{Shape: []int{batch, tokens, heads, dim}},
			{Shape: []int{positions, dim}, Kind: autograd.Stat, NoGrad: true,
				Value: func(i int, _ *random.Stream) float64 { return float64(table[i]) }},
			{Kind: autograd.Index},
		}, Call: call(func(in []*Var) *Var { return RoPE(in[0], in[1], in[2]) })}
		if given {
			e.In[2].Shape = []int{batch, tokens}
			e.In[2].Value = func(_ int, r *random.Stream) float64 { return float64(r.IntN(positions)) }
		}
		return e
	}
	return []autograd.Example{
		example("in order", 5, 2, 3, 2, 8, false),
		example("positions", 17, 2, 5, 3, 4, true),
		example("one token", 129, 1, 1, 2, 128, true),
		example("prime", 67, 1, 67, 1, 6, false),
	}
}
