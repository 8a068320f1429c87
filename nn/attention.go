package nn

import (
	"cmp"

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

	// Queries, keys and values in one, in place of Q, K and V, or nil: dim → (heads + 2 key heads) *
	// head size.
	QKV Layer `name:"qkv_proj"`

	// Norms of each head's queries and keys before the rotary positions, or nil for none
	// (Dehghani et al., 2302.05442, section 2).
	QNorm *RMSNorm `name:"q_norm"`
	KNorm *RMSNorm `name:"k_norm"`

	HeadDim       int     // elements of a head
	KVHeads       int     // key heads, which QKV alone needs
	HeadsTogether bool    // QNorm and KNorm norm all heads of a token as one row
	Window        int     // positions a query sees, its own included; 0 = all before it
	Scale         float32 // factor of every q · k; 0 = 1 / sqrt(head size)
	SoftCap       float32 // scores s become SoftCap tanh(s / SoftCap); 0 = as they are
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
	// Rotary tables [positions, rotated elements of a head] (ops.RoPETable), or nil. QueryRoPE is
	// that of the queries where they have one of their own (ops.RoPEQueryTable).
	RoPE, QueryRoPE *Var

	Positions *Var      // i32 [batch, tokens]; nil: 0, 1, … in every row
	Segments  *Var      // i32 [batch, tokens]: only tokens of one segment see each other, -1 is padding; nil: all
	Cache     *CacheUse // keys and values of earlier tokens; nil: only these tokens
}

// Forward maps x [batch, tokens, dim] to the same shape.
func (a *Attention) Forward(x *Var, c Context) *Var { return a.O.Forward(a.attend(x, c)) }

// ForwardPlus is plus + Forward, for a plus of the result's shape and type.
func (a *Attention) ForwardPlus(plus, x *Var, c Context) *Var {
	return forwardPlus(plus, a.O, a.attend(x, c))
}

// attend is what O sees, [batch, tokens, heads * head size].
func (a *Attention) attend(x *Var, c Context) *Var {
	q, k, v := a.project(x)
	if c.RoPE != nil {
		q, k = rotate(q, cmp.Or(c.QueryRoPE, c.RoPE), c.Positions), rotate(k, c.RoPE, c.Positions)
	}
	o := ops.AttentionOptions{
		Positions: c.Positions, KeyPositions: c.Positions,
		Segments: c.Segments, KeySegments: c.Segments,
		Window: a.Window, Scale: a.Scale, SoftCap: a.SoftCap,
	}
	if c.Cache != nil {
		o.KeyPositions, o.KeySegments = c.Cache.Positions, c.Cache.Segments
		k, v = c.Cache.add(k, v)
	}
	return ops.Reshape(ops.Attention(q, k, v, o), x.Dim(0), x.Dim(1), -1)
}

// project makes the normed queries, the normed keys and the values of x, [batch, tokens, heads, head size].
func (a *Attention) project(x *Var) (q, k, v *Var) {
	if a.QKV == nil {
		all := forwardAll(x, a.Q, a.K, a.V)
		q, k, v = all[0], all[1], all[2]
	} else {
		all := a.QKV.Forward(x)
		last, end, keys := all.Tensor().Rank()-1, all.Dim(-1), a.KVHeads*a.HeadDim
		q = ops.Slice(all, last, 0, end-2*keys)
		k, v = ops.Slice(all, last, end-2*keys, end-keys), ops.Slice(all, last, end-keys, end)
	}
	norm := func(n *RMSNorm, x *Var) *Var {
		switch {
		case n == nil:
			return a.split(x)
		case a.HeadsTogether:
			return a.split(n.Forward(x))
		}
		return n.Forward(a.split(x))
	}
	return norm(a.QNorm, q), norm(a.KNorm, k), a.split(v)
}

// rotate turns the first elements of every head of x, as many as the table has.
func rotate(x, table, positions *Var) *Var {
	turned := table.Dim(-1)
	if turned == x.Dim(-1) {
		return ops.RoPE(x, table, positions)
	}
	return ops.Concat(3, ops.RoPE(ops.Slice(x, 3, 0, turned), table, positions), ops.Slice(x, 3, turned, x.Dim(-1)))
}

// split is [batch, tokens, heads, head size] of [batch, tokens, heads * head size].
func (a *Attention) split(x *Var) *Var {
	if x.Dim(-1)%a.HeadDim != 0 {
		tensor.Panicf("attention", "a projection gives %s: want heads of %d elements", x.Tensor(), a.HeadDim)
	}
	return ops.Reshape(x, x.Dim(0), x.Dim(1), -1, a.HeadDim)
}
