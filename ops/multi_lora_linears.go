package ops

import (
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// LoRALinear is a linear layer with low-rank modules, as MultiLoRALinear takes them, or, where A is nil, without.
type LoRALinear struct {
	Weight, Bias, A, B, S *Var
	MultiLoRA
}

// MultiLoRALinears is MultiLoRALinear of several layers that see the same x, without dropout. What the layers do alike is
// one product where their matrices A lie one behind the other in memory (tensor.Joined), as do the gradients of A, and
// the gradient of x is added up by the products themselves. It is for devices on which every kernel has a price
// (tensor.Device.Launches); the results differ from those of the layers by themselves in the order of sums. And it is for a
// single row: weights without bias are one product as well where they lie so (Linears), and the results have the same bits.
func MultiLoRALinears(x *Var, layers ...LoRALinear) []*Var {
	op, in := &multiLoRALinears{}, []*Var{x}
	for _, l := range layers {
		checkLinear("multi_lora_linears", x, l.Weight, l.Bias)
		in = append(in, l.Weight, l.Bias, l.A, l.B, l.S)
		if l.A == nil {
			if l.B != nil || l.S != nil {
				tensor.Panicf("multi_lora_linears", "a layer with b or s, but no a")
			}
			op.layers = append(op.layers, nil)
			continue
		}
		l.check(l.Weight.Tensor(), l.A, l.B, l.S)
		if l.Dropout != 0 {
			tensor.Panicf("multi_lora_linears", "dropout %g: want none", l.Dropout)
		}
		op.layers = append(op.layers, &multiLoRA{MultiLoRA: l.MultiLoRA})
	}
	if op.rank() == 0 {
		tensor.Panicf("multi_lora_linears", "want at least one layer with modules")
	}
	return autograd.Apply(op, in...)
}

type multiLoRALinears struct{ layers []*multiLoRA } // nil where there are no modules

// OpName implements autograd.Named.
func (*multiLoRALinears) OpName() string { return "multi_lora_linears" }

// inputs is where those of layer i begin: weight, bias, a, b and s.
func (m *multiLoRALinears) inputs(i int) int { return 1 + 5*i }

// rank is the sum of all ranks.
func (m *multiLoRALinears) rank() (sum int) {
	for _, l := range m.layers {
		if l != nil {
			sum += l.Modules * l.Rank
		}
	}
	return sum
}

// narrow is every A as a product beside x takes it; nil: the layer has none.
func (m *multiLoRALinears) narrow(in []*tensor.Tensor) (list []*tensor.Tensor) {
	for i, l := range m.layers {
		if l == nil {
			list = append(list, nil)
			continue
		}
		list = append(list, l.a(in[m.inputs(i)+2], in[0]))
	}
	return list
}

// parts are the rows of t [sum of the ranks, ...] that belong to each layer, in t's memory; nil: it has no modules.
func (m *multiLoRALinears) parts(t *tensor.Tensor) (list []*tensor.Tensor) {
	shape, at := t.Shape(), 0
	row := t.Numel() / shape[0]
	for _, l := range m.layers {
		if l == nil {
			list = append(list, nil)
			continue
		}
		shape[0] = l.Modules * l.Rank
		list = append(list, t.View(at*row, shape...))
		at += shape[0]
	}
	return list
}

// joined are lists of tensors [n_i, ...], one of a list for each layer, all nil where it has no modules: as one list of one
// each, if each list lies in one piece of memory, else as they are.
func joined(lists ...[]*tensor.Tensor) [][]*tensor.Tensor {
	var whole []*tensor.Tensor
	for i, list := range lists {
		list = slices.DeleteFunc(slices.Clone(list), func(t *tensor.Tensor) bool { return t == nil })
		lists[i] = list
	}
	for _, list := range lists {
		t, ok := tensor.Joined(list...)
		if !ok {
			var each [][]*tensor.Tensor
			for i := range list {
				var one []*tensor.Tensor
				for _, list := range lists {
					one = append(one, list[i])
				}
				each = append(each, one)
			}
			return each
		}
		whole = append(whole, t)
	}
	return [][]*tensor.Tensor{whole}
}

// Forward: u = a xᵀ of all layers, y = x weightᵀ + bias + uᵀ bsᵀ of each. As u and its gradient are stored by column, those
// of a layer are one piece of memory.
func (m *multiLoRALinears) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, as := f.In[0], m.narrow(f.In)
	in := x.Dim(-1)
	rows := x.Numel() / in
	u := f.New(narrowType(x.DType()), m.rank(), rows)
	us := m.parts(u)
	for _, t := range joined(us, as) {
		if rows == 1 { // a row by weights, as the layers by themselves have it
			f.Run(kernels.Matmul{Batch: 1, M: 1, N: t[0].Dim(0), K: in, TransB: true}, t[0], x, t[1], nil)
			continue
		}
		f.Run(kernels.Matmul{Batch: 1, M: t[0].Dim(0), N: rows, K: in, TransB: true}, t[0], t[1], x, nil)
	}
	out = m.besideModules(f, rows)
	for i, l := range m.layers {
		own := f.In[m.inputs(i):]
		if len(out) == i {
			out = append(out, linear{}.product(f.Device, x, own[0], own[1], nil))
		}
		if l == nil {
			continue
		}
		bs := l.scaledB(own[3], own[4], x)
		f.Run(kernels.Matmul{Batch: 1, M: rows, N: bs.Dim(0), K: bs.Dim(1), TransA: rows > 1, TransB: true, Acc: true}, out[i],
			us[i], bs, nil)
	}
	if f.AnyNeeds() {
		saved = one(u)
	}
	return out, saved
}

// besideModules is x weightᵀ of all layers where x is a single row and none has a bias; else nothing.
func (m *multiLoRALinears) besideModules(f *autograd.Forward, rows int) []*tensor.Tensor {
	var weights []*tensor.Tensor
	for i := range m.layers {
		own := f.In[m.inputs(i):]
		if rows > 1 || own[1] != nil {
			return nil
		}
		weights = append(weights, own[0])
	}
	return linears{}.products(f.Device, f.In[0], weights)
}

// BackwardReads implements autograd.Selective.
func (m *multiLoRALinears) BackwardReads(needs []bool) autograd.Reads {
	in := []bool{false}
	for i := range m.layers {
		at := m.inputs(i)
		in[0] = in[0] || needs[at] || needs[at+2]
		beside := m.layers[i] != nil
		in = append(in, needs[0], false, beside, beside, beside)
	}
	return autograd.Reads{In: in, Saved: true}
}

// Backward: with du = bsᵀ dyᵀ and dbs = dyᵀ uᵀ of each layer,
//
//	dx = Σ dy weight + duᵀ a, da = du x, db and ds from dbs.
func (m *multiLoRALinears) Backward(b *autograd.Backward) {
	x, u := b.In[0], b.Saved[0]
	in, rows := x.Dim(-1), u.Dim(1)
	dx := b.Grad(0)
	du := b.New(narrowGradType(x.DType()), u.Shape()...)
	us, dus := m.parts(u), m.parts(du)
	anyA := false
	for i, l := range m.layers {
		at, dy := m.inputs(i), b.DOut[i]
		w, lora, s := b.In[at], b.In[at+3], b.In[at+4]
		if dx != nil {
			b.Run(kernels.Matmul{Batch: 1, M: rows, N: in, K: w.Dim(0), Acc: i > 0}, dx, dy, w, nil)
		}
		linear{}.weightGrads(b, at, x, dy)
		if l == nil {
			continue
		}
		if anyA = anyA || b.Needs[at+2]; dx != nil || b.Needs[at+2] {
			b.Run(kernels.Matmul{Batch: 1, M: lora.Dim(1), N: rows, K: lora.Dim(0), TransA: true, TransB: true}, dus[i],
				l.scaledB(lora, s, dy), dy, nil)
		}
		if b.Needs[at+3] || b.Needs[at+4] {
			l.scaledGrad(b, at+3, dy, us[i], true)
		}
	}
	if dx != nil {
		for _, t := range joined(dus, m.narrow(b.In)) {
			b.Run(kernels.Matmul{Batch: 1, M: rows, N: in, K: t[0].Dim(0), TransA: true, Acc: true}, dx, t[0], t[1], nil)
		}
	}
	if anyA {
		m.gradsOfA(b, x, dus)
	}
}

// gradsOfA writes da = du x: of all layers in one, where all want theirs in the same way.
func (m *multiLoRALinears) gradsOfA(b *autograd.Backward, x *tensor.Tensor, dus []*tensor.Tensor) {
	type list struct{ da, du []*tensor.Tensor }
	var written, added list
	for i, l := range m.layers {
		if l == nil {
			continue
		}
		da, acc := b.WeightGrad(m.inputs(i) + 2)
		to := &written
		if acc {
			to = &added
		}
		if da != nil {
			to.da, to.du = append(to.da, da), append(to.du, dus[i])
		}
	}
	for i, l := range []list{written, added} {
		for _, t := range joined(l.da, l.du) {
			b.Run(kernels.Matmul{Batch: 1, M: t[1].Dim(0), N: x.Dim(-1), K: t[1].Dim(1), Acc: i == 1}, t[0], t[1], x, nil)
		}
	}
}

func (*multiLoRALinears) Examples() []autograd.Example {
	// example has layers of some outputs, ranks and kinds of scalings.
	example := func(name string, rows, in int, bias bool, outs []int, options ...MultiLoRA) autograd.Example {
		e := autograd.Example{Name: name, In: []autograd.Input{{Shape: []int{rows, in}}}}
		for i, o := range options {
			rank, b, s := o.Modules*o.Rank, []int{outs[i]}, []int{o.Modules}
			if !bias {
				b = nil
			}
			if rank == 0 {
				e.In = append(e.In, autograd.Input{Shape: []int{outs[i], in}, Kind: autograd.Weight},
					autograd.Input{Shape: b, Kind: autograd.Weight}, autograd.Input{}, autograd.Input{}, autograd.Input{})
				continue
			}
			switch {
			case o.PerOutput:
				s = append(s, outs[i])
			case o.Modules == 1:
				s = nil
			}
			e.In = append(e.In, autograd.Input{Shape: []int{outs[i], in}, Kind: autograd.Weight},
				autograd.Input{Shape: b, Kind: autograd.Weight}, autograd.Input{Shape: []int{rank, in}, Kind: autograd.Stat},
				autograd.Input{Shape: []int{outs[i], rank}, Kind: autograd.Stat}, autograd.Input{Shape: s, Kind: autograd.Stat})
		}
		e.Call = func(in []*Var) []*Var {
			var layers []LoRALinear
			for i, o := range options {
				own := in[1+5*i:]
				layers = append(layers, LoRALinear{own[0], own[1], own[2], own[3], own[4], o})
			}
			return MultiLoRALinears(in[0], layers...)
		}
		return e
	}
	lora := MultiLoRA{Modules: 1, Rank: 3, Scale: 0.5}
	scalar := MultiLoRA{Modules: 3, Rank: 2, Scale: 2}
	perOutput := MultiLoRA{Modules: 2, Rank: 2, Scale: 1, PerOutput: true}
	none := MultiLoRA{}
	whole := MultiLoRA{Modules: 2, Rank: 2, Scale: 0.5} // parts of one row that begin at multiples of 16 bytes, as bound ones have to
	list := []autograd.Example{
		example("three", 8, 7, true, []int{5, 4, 4}, scalar, scalar, scalar),
		example("unlike", 16, 6, false, []int{3, 5, 4}, lora, perOutput, scalar),
		example("odd rows", 11, 6, false, []int{3, 5, 4}, lora, perOutput, scalar),
		example("alone", 4, 5, true, []int{6}, perOutput),
		example("one row", 1, 64, false, []int{12, 8}, whole, whole),
		example("some", 16, 6, true, []int{3, 5, 4}, scalar, none, perOutput),
		example("last, one row", 1, 64, false, []int{12, 8, 4}, none, none, whole),
		example("one row, biases", 1, 7, true, []int{8, 4}, whole, perOutput),
		example("whole blocks", 64, 64, false, []int{96, 32}, MultiLoRA{Modules: 2, Rank: 8, Scale: 1},
			MultiLoRA{Modules: 2, Rank: 8, Scale: 1}),
	}
	for i := range list[1:] { // in other types products are multi_lora's
		list[1+i].Brief = true
	}
	return list
}
