package nn

import "github.com/agora-ml/agora/ops"

// Linear is x weightᵀ + bias.
type Linear struct {
	Weight *Param `name:"weight"` // [out, in]
	Bias   *Param `name:"bias"`   // [out], or nil
}

// NewLinear is initialized as PyTorch's nn.Linear: weight and bias uniform within
// 1/sqrt(in).
func NewLinear(weights *Initializer, in, out int, bias bool) *Linear {
	l := &Linear{Weight: weights.Kaiming(in, out, in)}
	if bias {
		l.Bias = weights.Kaiming(in, out)
	}
	return l
}

// Forward maps [..., in] to [..., out].
func (l *Linear) Forward(x *Var) *Var {
	if l.Bias == nil {
		return ops.Linear(x, l.Weight.Var(), nil)
	}
	return ops.Linear(x, l.Weight.Var(), l.Bias.Var())
}
