package nn

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/ops"
)

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
	return ops.Linear(x, l.Weight.Var(), l.bias())
}

// ForwardPlus implements Adder.
func (l *Linear) ForwardPlus(plus, x *Var) *Var {
	return ops.LinearPlus(plus, x, l.Weight.Var(), l.bias())
}

func (l *Linear) bias() *Var {
	if l.Bias == nil {
		return nil
	}
	return l.Bias.Var()
}

// ForwardAll implements Joiner for layers without bias on a CPU. Where a text is generated, a product begins and ends in a good
// part of the time that it takes, so that weights that lie one behind the other are multiplied by one. In training the
// products that give x's gradient add to each other's, but in 16 bits, where each sum would be rounded.
func (l *Linear) ForwardAll(x *Var, layers []Layer) []*Var {
	t := x.Tensor()
	trains := autograd.Recording(t.Device())
	if t.Device().Launches() || trains && t.DType().Is16Bit() || !trains && t.Numel() != t.Dim(-1) {
		return nil
	}
	weights := make([]*Var, len(layers))
	for i, layer := range layers {
		l, ok := layer.(*Linear)
		if !ok || l.Bias != nil {
			return nil
		}
		weights[i] = l.Weight.Var()
	}
	return ops.Linears(x, weights...)
}
