package multilora

import (
	"strings"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// fewRows are those of an input beside which a device has kernels of their own for each layer; a step has more.
const fewRows = 8

// ForwardAll implements nn.Joiner for layers of which some have modules: of many rows on a device where every kernel has a
// price, of a single row, as when a text is generated, elsewhere. Layers with dropout see each another x, and DoRA has more
// to do.
func (l *Linear) ForwardAll(x *nn.Var, layers []nn.Layer) []*nn.Var {
	t := x.Tensor()
	d, rows := t.Device(), t.Numel()/t.Dim(-1)
	if d.Launches() && rows <= fewRows || !d.Launches() && (rows > 1 || autograd.Recording(d)) {
		return nil
	}
	var all []ops.LoRALinear
	for _, layer := range layers {
		if plain, ok := layer.(*nn.Linear); ok {
			all = append(all, ops.LoRALinear{Weight: plain.Weight.Var(), Bias: variable(plain.Bias)})
			continue
		}
		own, ok := layer.(*Linear)
		if !ok || own.Magnitude != nil || own.options.Dropout > 0 && autograd.Recording(d) {
			return nil
		}
		o := own.beside(x)
		o.Dropout = 0
		all = append(all, ops.LoRALinear{Weight: own.Base.Weight.Var(), Bias: own.bias(), A: own.A.Var(), B: own.B.Var(),
			S: variable(own.S), MultiLoRA: o})
	}
	return ops.MultiLoRALinears(x, all...)
}

// follow puts the modules of neighbors that may see the same input one behind the other, q, k and v, gate and up, so that one
// product takes all their A's, and has them lie so where they train.
func follow(layers []adapted) {
	module := func(name string) string { return name[:strings.LastIndexByte(name, '.')+1] }
	var together []*Linear
	for i, l := range layers {
		if i > 0 {
			before := layers[i-1]
			if module(l.name) == module(before.name) && l.linear.A.Value.Dim(1) == before.linear.A.Value.Dim(1) {
				l.linear.A.After = before.linear.A
			} else {
				layTogether(together)
				together = nil
			}
		}
		together = append(together, l.linear)
	}
	layTogether(together)
}

// layTogether moves the modules of layers on a CPU, whose kernels read anywhere: their A's to one memory, their B's to another
// and their scalings to a third, so that a mirror of them is in one piece as well.
func layTogether(layers []*Linear) {
	if len(layers) < 2 || layers[0].A.Value.Device().Launches() {
		return
	}
	for _, of := range []func(*Linear) *nn.Param{
		func(l *Linear) *nn.Param { return l.A }, func(l *Linear) *nn.Param { return l.B },
		func(l *Linear) *nn.Param { return l.S },
	} {
		var params []*nn.Param
		size := 0
		for _, l := range layers {
			if p := of(l); p != nil {
				params = append(params, p)
				size += p.Value.Numel()
			}
		}
		if size == 0 {
			continue
		}
		d := layers[0].A.Value.Device()
		memory, at := d.NewExact(tensor.F32, size), 0
		for _, p := range params {
			old := p.Value
			p.Value = memory.View(at, old.Shape()...)
			d.Run(kernels.Cast{N: old.Numel()}, p.Value, old)
			at += old.Numel()
			old.Free("the adapter's modules have moved together")
		}
	}
}
