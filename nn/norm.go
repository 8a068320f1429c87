package nn

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/ops"
)

// RMSNorm is x / sqrt(mean(x²) + eps) * (offset + weight) over the last dimension.
type RMSNorm struct {
	Weight *Param `name:"weight"` // [dim]
	Eps    float32
	Offset float32 // 1 in Gemma, whose weights are stored around 0
}

// NewRMSNorm begins with ones.
func NewRMSNorm(weights *Initializer, dim int, eps float32) *RMSNorm {
	return &RMSNorm{Weight: weights.Constant(1, dim), Eps: eps}
}

// Forward normalizes every row of [..., dim].
func (n *RMSNorm) Forward(x *Var) *Var {
	w := n.Weight.Var()
	if n.Offset != 0 { // in f32: 16 bits would round small weights away
		w = ops.Scale(ops.Cast(w, autograd.StatType(w.Tensor().DType())), 1, n.Offset)
	}
	return ops.RMSNorm(x, w, n.Eps)
}

// LayerNorm is (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias over the last
// dimension.
type LayerNorm struct {
	Weight *Param `name:"weight"` // [dim]
	Bias   *Param `name:"bias"`   // [dim]
	Eps    float32
}

// NewLayerNorm begins with weight 1 and bias 0.
func NewLayerNorm(weights *Initializer, dim int, eps float32) *LayerNorm {
	return &LayerNorm{Weight: weights.Constant(1, dim), Bias: weights.Constant(0, dim), Eps: eps}
}

// Forward normalizes every row of [..., dim].
func (n *LayerNorm) Forward(x *Var) *Var {
	return ops.LayerNorm(x, n.Weight.Var(), n.Bias.Var(), n.Eps)
}
