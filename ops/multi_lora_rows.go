package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// LoRARows is low-rank modules that only some rows of a batch see.
type LoRARows struct {
	From, To int // rows of x, counted in its first dimension; To is the first beyond
	A, B, S  *Var
	MultiLoRA
}

// MultiLoRARows is MultiLoRALinear with modules of its own for each part of the batch:
// x weightᵀ + bias, and beside it the modules that the rows of x [batch, …, in] have, if
// any. The base's product is one for all rows, whatever modules they have.
func MultiLoRARows(x, weight, bias *Var, parts ...LoRARows) *Var {
	checkLinear("multi_lora_rows", x, weight, bias)
	op := &multiLoRARows{}
	in, end := []*Var{x, weight, bias}, 0
	for _, p := range parts {
		if x.Tensor().Rank() < 2 || p.From < end || p.To <= p.From || p.To > x.Dim(0) {
			tensor.Panicf("multi_lora_rows", "modules for rows %d to %d of %s: want at least one row, behind row %d",
				p.From, p.To, x.Tensor(), end)
		}
		p.check(weight.Tensor(), p.A, p.B, p.S)
		op.parts, in, end = append(op.parts, rowsPart{p.From, p.To, &multiLoRA{MultiLoRA: p.MultiLoRA}}),
			append(in, p.A, p.B, p.S), p.To
	}
	return apply(op, in...)
}

type multiLoRARows struct{ parts []rowsPart }

type rowsPart struct {
	from, to int
	modules  *multiLoRA
}

// of is the part's rows of t [batch, …], in t's memory.
func (p rowsPart) of(t *tensor.Tensor) *tensor.Tensor {
	shape := t.Shape()
	row := t.Numel() / shape[0]
	shape[0] = p.to - p.from
	return t.View(p.from*row, shape...)
}

// OpName implements autograd.Named.
func (*multiLoRARows) OpName() string { return "multi_lora_rows" }

func (m *multiLoRARows) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := linear{}.product(f.Device, f.In[0], f.In[1], f.In[2], nil)
	for i, p := range m.parts {
		in := f.In[3+3*i:]
		p.modules.draw(f)
		u := p.modules.narrow(f.Device, p.of(f.In[0]), in[0])
		p.modules.add(f, p.of(y), u, in[1], in[2], nil)
		saved = append(saved, u)
	}
	if !f.AnyNeeds() {
		saved = nil
	}
	return one(y), saved
}

// BackwardReads implements autograd.Selective.
func (m *multiLoRARows) BackwardReads(needs []bool) autograd.Reads {
	in := []bool{needs[1], needs[0], false}
	for i := range m.parts {
		in[0] = in[0] || needs[3+3*i]
		in = append(in, true, true, true)
	}
	return autograd.Reads{In: in, Saved: true}
}

func (m *multiLoRARows) Backward(b *autograd.Backward) {
	linear{}.productGrads(b)
	for i, p := range m.parts {
		dx := b.Grad(0)
		if dx != nil {
			dx = p.of(dx)
		}
		p.modules.modulesBackward(b, 3+3*i, p.of(b.In[0]), nil, dx, p.of(b.DOut[0]), b.Saved[i])
	}
}

func (*multiLoRARows) Examples() []autograd.Example {
	// example has batch rows of tokens; parts say who sees which modules.
	example := func(name string, batch, tokens, in, out int, bias bool, parts ...LoRARows) autograd.Example {
		e := autograd.Example{Name: name, In: []autograd.Input{{Shape: []int{batch, tokens, in}},
			{Shape: []int{out, in}, Kind: autograd.Weight}, {Kind: autograd.Weight}}}
		if bias {
			e.In[2].Shape = []int{out}
		}
		for _, p := range parts {
			rank := p.Modules * p.Rank
			s := autograd.Input{Kind: autograd.Stat, Shape: []int{p.Modules}}
			switch {
			case p.PerOutput:
				s.Shape = []int{p.Modules, out}
			case p.Modules == 1:
				s.Shape = nil
			}
			e.In = append(e.In, autograd.Input{Shape: []int{rank, in}, Kind: autograd.Stat},
				autograd.Input{Shape: []int{out, rank}, Kind: autograd.Stat}, s)
		}
		e.Call = call(func(in []*Var) *Var {
			with := append([]LoRARows{}, parts...)
			for i := range with {
				with[i].A, with[i].B, with[i].S = in[3+3*i], in[4+3*i], in[5+3*i]
			}
			return MultiLoRARows(in[0], in[1], in[2], with...)
		})
		return e
	}
	lora := MultiLoRA{Modules: 1, Rank: 3, Scale: 0.5}
	perOutput := MultiLoRA{Modules: 2, Rank: 2, Scale: 2, PerOutput: true}
	scalar := MultiLoRA{Modules: 3, Rank: 1, Scale: 1}
	dropped := MultiLoRA{Modules: 1, Rank: 2, Scale: 1, Dropout: 0.5}
	return []autograd.Example{
		example("each row its own", 3, 2, 5, 4, true, LoRARows{From: 0, To: 1, MultiLoRA: lora},
			LoRARows{From: 1, To: 2, MultiLoRA: perOutput}, LoRARows{From: 2, To: 3, MultiLoRA: scalar}),
		example("rows without", 5, 3, 4, 7, false, LoRARows{From: 1, To: 3, MultiLoRA: scalar},
			LoRARows{From: 4, To: 5, MultiLoRA: lora}),
		example("nobody", 2, 2, 3, 4, true),
		example("dropout", 3, 4, 6, 5, true, LoRARows{From: 0, To: 2, MultiLoRA: dropped},
			LoRARows{From: 2, To: 3, MultiLoRA: dropped}),
	}
}
