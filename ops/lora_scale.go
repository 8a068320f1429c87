package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// ScaledLoRA is b [out, modules rank] with the scaling s of each module (nil: all ones) and Scale in its columns, as
// MultiLoRA.ScaledB makes it, with gradients of b and s: what a change of a weight is made of that MultiLoRALinear
// cannot stand beside, as an embedding's.
func ScaledLoRA(b, s *Var, o MultiLoRA) *Var {
	if s == nil && !o.PerOutput {
		return Scale(b, o.Scale, 0)
	}
	bt := b.Tensor()
	if bt.Rank() != 2 || bt.Dim(1) != o.Modules*o.Rank {
		tensor.Panicf("lora_scale", "b is %s: want [out, %d]", bt, o.Modules*o.Rank)
	}
	o.checkScalings(bt.Dim(0), s)
	return apply(loraScale{o}, b, s)
}

type loraScale struct{ MultiLoRA }

// OpName implements autograd.Named.
func (loraScale) OpName() string { return "lora_scale" }

func (l loraScale) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	return one(l.ScaledB(f.In[0], f.In[1])), nil
}

func (l loraScale) Backward(b *autograd.Backward) {
	l.scalesGrad(b, 0, b.DOut[0])
}

func (loraScale) Examples() []autograd.Example {
	example := func(name string, out int, o MultiLoRA) autograd.Example {
		s := autograd.Input{Shape: []int{o.Modules}, Kind: autograd.Stat}
		if o.PerOutput {
			s.Shape = append(s.Shape, out)
		}
		return autograd.Example{Name: name,
			In:   []autograd.Input{{Shape: []int{out, o.Modules * o.Rank}, Kind: autograd.Stat}, s},
			Call: call(func(in []*Var) *Var { return ScaledLoRA(in[0], in[1], o) })}
	}
	return []autograd.Example{
		example("modules", 19, MultiLoRA{Modules: 3, Rank: 2, Scale: 0.5}),
		example("per output", 7, MultiLoRA{Modules: 2, Rank: 5, Scale: 2, PerOutput: true}),
		example("one", 1, MultiLoRA{Modules: 1, Rank: 1, Scale: 1}),
	}
}
