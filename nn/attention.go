package nn

import (
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Attention is causal self-attention with rotary positions. Several query heads may
// share a key head (grouped queries; Ainslie et al., 2305.13245).
type Attention struct {
	Q Layer `name:"q_proj"` // dim → heads * head size
	K Layer `name:"k_proj"` // dim → key heads * head size
	V Layer `name:"v_proj"` // dim → key heads * head size
	O Layer `name:"o_proj"` // heads * head size → dim

	// Norms of each head's queries and keys before the rotary positions, or nil for none
	// (Dehghani et al., 2302.05442, section 2).
	QNorm *RMSNorm `name:"q_norm"`
	KNorm *RMSNorm `name:"k_norm"`

	HeadDim int // elements of a head
	Window  int // positions a query sees, its own included; 0 = all before it
}

// NewAttention has four new linear layers without bias.
func NewAttention(weights *Initializer, dim, heads, kvHeads, headDim int) *Attention {
	return &Attention{
		Q:       NewLinear(weights, dim, heads*headDim, false),
		K:       NewLinear(weights, dim, kvHeads*headDim, false),
		V:       NewLinear(weights, dim, kvHeads*headDim, false),
		O:       NewLinear(weights, heads*headDim, dim, false),
		HeadDim: headDim,
	}
}

// Context is what attention knows of its tokens beside their vectors. The zero value
// is one sequence a row, without rotary positions.
type Context struct {
	RoPE      *Var      // rotary table [positions, head size] (ops.RoPETable), or nil
	Positions *Var      // i32 [batch, tokens]; nil: 0, 1, … in every row
	Segments  *Var      // i32 [batch, tokens]: only tokens of one segment see each other, -1 is padding; nil: all
	Cache     *CacheUse // keys and values of earlier tokens; nil: only these tokens
}

// Forward maps x [batch, tokens, dim] to the same shape.
func (a *Attention) Forward(x *Var, c Context) *Var {
	q, k, v := a.split(a.Q.Forward(x)), a.split(a.K.Forward(x)), a.split(a.V.Forward(x))
	if a.QNorm != nil {
		q = a.QNorm.Forward(q)
	}
	if a.KNorm != nil {
		k = a.KNorm.Forward(k)
	}
	if c.RoPE != nil {
		q, k = ops.RoPE(q, c.RoPE, c.Positions), ops.RoPE(k, c.RoPE, c.Positions)
	}
	o := ops.AttentionOptions{
		Positions: c.Positions, KeyPositions: c.Positions,
		Segments: c.Segments, KeySegments: c.Segments,
		Window: a.Window,
	}
	if c.Cache != nil {
		o.KeyPositions, o.KeySegments = c.Cache.Positions, c.Cache.Segments
		k, v = c.Cache.add(k, v)
	}
	y := ops.Attention(q, k, v, o)
	return a.O.Forward(ops.Reshape(y, x.Dim(0), x.Dim(1), -1))
}

// split is [batch, tokens, heads, head size] of [batch, tokens, heads * head size].
func (a *Attention) split(x *Var) *Var {
	if x.Dim(-1)%a.HeadDim != 0 {
		tensor.Panicf("attention", "a projection gives %s: want heads of %d elements", x.Tensor(), a.HeadDim)
	}
	return ops.Reshape(x, x.Dim(0), x.Dim(1), -1, a.HeadDim)
}
