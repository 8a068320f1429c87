package multilora

import (
	"strings"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
)

// fewRows are those of an input beside which a device has kernels of their own for each layer.
const fewRows = 8

// ForwardAll implements nn.Joiner: layers with modules, where a kernel has a price and x is no few rows. Those with dropout
// see each another x, and DoRA has more to do.
func (l *Linear) ForwardAll(x *nn.Var, layers []nn.Layer) []*nn.Var {
	t := x.Tensor()
	if !t.Device().Launches() || t.Numel()/t.Dim(-1) <= fewRows {
		return nil
	}
	var all []ops.LoRALinear
	for _, layer := range layers {
		own, ok := layer.(*Linear)
		if !ok || own.Magnitude != nil || own.options.Dropout > 0 && autograd.Recording(t.Device()) {
			return nil
		}
		o := own.beside(x)
		o.Dropout = 0
		all = append(all, ops.LoRALinear{Weight: own.Base.Weight.Var(), Bias: own.bias(), A: own.A.Var(), B: own.B.Var(),
			S: variable(own.S), MultiLoRA: o})
	}
	return ops.MultiLoRALinears(x, all...)
}

// follow lets the A's of neighbors that may see the same input lie one behind the other where they train, so that one
// product takes them all: q, k and v, gate and up.
func follow(layers []adapted) {
	module := func(name string) string { return name[:strings.LastIndexByte(name, '.')+1] }
	for i, l := range layers[1:] {
		before := layers[i]
		if module(l.name) == module(before.name) && l.linear.A.Value.Dim(1) == before.linear.A.Value.Dim(1) {
			l.linear.A.After = before.linear.A
		}
	}
}
