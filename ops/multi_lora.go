package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// MultiLoRA says what the adapter of MultiLoRALinear is made of.
type MultiLoRA struct {
	Modules   int     // low-rank modules side by side
	Rank      int     // rank of each
	Scale     float32 // alpha / Rank: the factor of their sum
	PerOutput bool    // s has a number for each module and output
	Dropout   float32 // probability that the adapter does not see an element of x
	// Mirror is A and the scaled B as products beside x take them, where somebody keeps them so; nil: they are scaled, and
	// beside activations of 16 bits rounded, for each product.
	Mirror *LoRAMirror
}

// LoRAMirror is the modules of a layer in the type of its activations: a, and b as ScaledB makes it. Both must be what
// those parameters are at the time, in Forward as in Backward: gradients are those of the parameters.
type LoRAMirror struct {
	A, ScaledB *tensor.Tensor
	// Grad gives where the gradient of ScaledB goes, f32, and whether it is to be added to what is there, for an
	// autograd.Joint that adds those of b and s to the parameters' for all layers at once. It, or what it gives, is nil
	// where Backward is to do so for this layer.
	Grad func(b *autograd.Backward) (dbs *tensor.Tensor, acc bool)
}

// MultiLoRALinear is x weightᵀ + bias + scale Σ_i s_i x A_iᵀ B_iᵀ: a linear layer with
// several low-rank modules (MultiLoRA, 2311.11501). The modules stand together as one
// pair of matrices, so they cost what one LoRA of their total rank costs.
//
// x is [..., in], weight [out, in], bias [out] or nil, a [modules rank, in], b [out,
// modules rank]; s is [modules], [modules, out] with PerOutput, or nil: all ones,
// which makes it LoRA (2106.09685). Dropout happens only while a tape is open.
func MultiLoRALinear(x, weight, bias, a, b, s *Var, o MultiLoRA) *Var {
	checkLinear("multi_lora", x, weight, bias)
	o.check(weight.Tensor(), a, b, s)
	return apply(&multiLoRA{MultiLoRA: o}, x, weight, bias, a, b, s, nil)
}

// MultiLoRALinearPlus is plus + MultiLoRALinear, plus [..., out] being of x's type: the kernel that adds the modules adds it,
// and rounds the sum once, with LinearPlus's exception.
func MultiLoRALinearPlus(plus, x, weight, bias, a, b, s *Var, o MultiLoRA) *Var {
	checkLinear("multi_lora", x, weight, bias)
	checkPlus("multi_lora", plus, x, weight)
	o.check(weight.Tensor(), a, b, s)
	return apply(&multiLoRA{MultiLoRA: o}, x, weight, bias, a, b, s, plus)
}

// check panics unless the modules fit beside the weight.
func (o MultiLoRA) check(w *tensor.Tensor, a, b, s *Var) {
	out, in, rank := w.Dim(0), w.Dim(1), o.Modules*o.Rank
	if o.Modules < 1 || o.Rank < 1 || !a.Tensor().HasShape(rank, in) || !b.Tensor().HasShape(out, rank) {
		tensor.Panicf("multi_lora", "a is %s, b %s for %d modules of rank %d and weight %s: want [%d, %d] and [%d, %d]",
			a.Tensor(), b.Tensor(), o.Modules, o.Rank, w, rank, in, out, rank)
	}
	o.checkScalings(out, s)
	if !(o.Dropout >= 0 && o.Dropout < 1) {
		tensor.Panicf("multi_lora", "dropout %g: want at least 0 and below 1", o.Dropout)
	}
	if n := o.Mirror; n != nil && !(n.A.SameShape(a.Tensor()) && n.ScaledB.SameShape(b.Tensor()) &&
		n.ScaledB.DType() == n.A.DType()) {
		tensor.Panicf("multi_lora", "the mirror's a is %s, its scaled b %s: want %s and %s in one type", n.A, n.ScaledB,
			a.Tensor(), b.Tensor())
	}
}

// checkScalings panics unless s has a number for each module, or for each of its outputs.
func (o MultiLoRA) checkScalings(out int, s *Var) {
	switch {
	case s == nil && o.PerOutput:
		tensor.Panicf("multi_lora", "no s, but one for every output asked for")
	case s != nil && o.PerOutput && !s.Tensor().HasShape(o.Modules, out):
		tensor.Panicf("multi_lora", "s is %s: want [%d, %d]", s.Tensor(), o.Modules, out)
	case s != nil && !o.PerOutput && !s.Tensor().HasShape(o.Modules):
		tensor.Panicf("multi_lora", "s is %s: want [%d]", s.Tensor(), o.Modules)
	}
}

type multiLoRA struct {
	MultiLoRA
	at     autograd.RandomAt // of the dropout
	drops  bool
	merged bool // the product of the way forward had the modules in its weight, without u
}

// dropout is x as the adapter sees it, and its gradient.
func (m *multiLoRA) dropout(d *tensor.Device, x *tensor.Tensor) *tensor.Tensor {
	if !m.drops {
		return x
	}
	y := d.Like(x)
	d.Run(kernels.Dropout{N: x.Numel(), P: m.Dropout, Key0: m.at.Key[0], Key1: m.at.Key[1], Step: m.at.Step,
		Op: m.at.Op}, y, x)
	return y
}

// ScaledB returns b with the scaling s of each module (nil: all ones) and Scale in its columns, a
// new tensor [out, modules rank]: its product with a is what the modules add to the weight.
func (m MultiLoRA) ScaledB(b, s *tensor.Tensor) *tensor.Tensor {
	d := b.Device()
	bs := d.Like(b)
	if s == nil {
		d.Run(kernels.Scale{N: b.Numel(), Alpha: m.Scale}, bs, b)
		return bs
	}
	d.Run(kernels.LoRAScale{Out: b.Dim(0), Rank: b.Dim(1), Modules: m.Modules, Alpha: m.Scale, PerOutput: m.PerOutput},
		bs, b, s)
	return bs
}

// OpName implements autograd.Named.
func (*multiLoRA) OpName() string { return "multi_lora" }

// narrowType is that of u, and of a and bs as products take them. Beside activations of 16 bits it is theirs, as in
// automatic mixed precision: the parameters themselves, their gradients and all sums stay f32.
func narrowType(x tensor.DType) tensor.DType {
	if x == tensor.BF16 || x == tensor.F16 {
		return x
	}
	return autograd.StatType(x)
}

// narrowGradType is that of the gradient of u, which is as small as bs beside the gradients of activations: the scale of
// the loss keeps those in the range of f16, and not it.
func narrowGradType(x tensor.DType) tensor.DType {
	if x == tensor.BF16 {
		return x
	}
	return autograd.StatType(x)
}

// narrowed is a or bs as a product beside x takes it.
func narrowed(p, x *tensor.Tensor) *tensor.Tensor {
	dt := narrowType(x.DType())
	if dt == p.DType() {
		return p
	}
	to := p.Device().New(dt, p.Shape()...)
	p.Device().Run(kernels.Cast{N: p.Numel()}, to, p)
	return to
}

// a is A as a product beside x takes it.
func (m *multiLoRA) a(a, x *tensor.Tensor) *tensor.Tensor {
	if m.Mirror != nil && m.Mirror.A.DType() == x.DType() {
		return m.Mirror.A
	}
	return narrowed(a, x)
}

// scaledB is ScaledB as a product beside x takes it.
func (m *multiLoRA) scaledB(b, s, x *tensor.Tensor) *tensor.Tensor {
	if m.Mirror != nil && m.Mirror.A.DType() == x.DType() {
		return m.Mirror.ScaledB
	}
	return narrowed(m.ScaledB(b, s), x)
}

// Forward: u = dropout(x) aᵀ, y = x weightᵀ + bias + u bsᵀ + plus, or x (weight + bs a)ᵀ + bias + plus. The narrow u is
// kept where keepsNarrow says so; bs, as large as b, is cheaper made again.
func (m *multiLoRA) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	m.draw(f)
	x, w, bias, a, plus := f.In[0], f.In[1], f.In[2], f.In[3], f.In[6]
	var y, u *tensor.Tensor
	if m.merged = m.merges(x, w.Dim(1)) && !inPieces(f.Device); m.merged {
		y = m.mergedProduct(f, x, m.mergedWeight(f.Device, w, a, m.scaledB(f.In[4], f.In[5], x)), bias, plus)
	} else {
		u = m.narrow(f.Device, x, a)
		y = linear{}.product(f.Device, x, w, bias, nil)
		m.add(f, y, u, f.In[4], f.In[5], plus)
	}
	if m.keepsNarrow(f.Needs) {
		if u == nil {
			u = m.narrow(f.Device, x, a)
		}
		saved = one(u)
	}
	return one(y), saved
}

// draw takes the random numbers of a call with dropout.
func (m *multiLoRA) draw(f *autograd.Forward) {
	if m.Dropout > 0 {
		m.at, m.drops = f.Random()
	}
}

// narrow is u.
func (m *multiLoRA) narrow(d *tensor.Device, x, a *tensor.Tensor) *tensor.Tensor {
	in, rank := a.Dim(1), a.Dim(0)
	rows := x.Numel() / in
	u := d.New(narrowType(x.DType()), rows, rank)
	d.Run(kernels.Matmul{Batch: 1, M: rows, N: rank, K: in, TransB: true}, u, m.dropout(d, x), m.a(a, x), nil)
	return u
}

// add: y += u bsᵀ + plus, which may be nil.
func (m *multiLoRA) add(f *autograd.Forward, y, u, b, s, plus *tensor.Tensor) {
	rows := u.Dim(0)
	f.Run(kernels.Matmul{Batch: 1, M: rows, N: b.Dim(0), K: u.Dim(1), BiasRows: rows, TransB: true, Acc: true}, y, u,
		m.scaledB(b, s, y), plus)
}

// BackwardReads implements autograd.Selective.
func (m *multiLoRA) BackwardReads(needs []bool) autograd.Reads {
	return autograd.Reads{In: []bool{needs[1] || needs[3], needs[0], false, true, true, true}, Saved: m.keepsNarrow(needs)}
}

// Backward: with du = dy bs and dbs = dyᵀ u,
//
//	dx = dy weight + dropout(du a) or dy (weight + bs a), da = duᵀ dropout(x), db and ds from dbs, dplus = dy.
func (m *multiLoRA) Backward(b *autograd.Backward) {
	x, w, dy := b.In[0], b.In[1], b.DOut[0]
	var u *tensor.Tensor
	switch {
	case len(b.Saved) > 0:
		u = b.Saved[0]
	case b.Needs[4] || b.Needs[5]:
		u = m.narrow(b.Device, x, b.In[3])
	}
	dx := b.Grad(0)
	if dx != nil && !m.merges(dx, w.Dim(0)) {
		linear{}.inputGrad(b.Device, dx, dy, w)
		w = nil
	}
	linear{}.weightGrads(b, 1, x, dy)
	b.SetGrad(6, dy)
	m.modulesBackward(b, 3, x, w, dx, dy, u)
}

// modulesBackward adds to dx, where the base's gradient is already, or with the base's weight w writes all of it, and writes
// the gradients of a, b and s, which are inputs at and following.
func (m *multiLoRA) modulesBackward(b *autograd.Backward, at int, x, w, dx, dy, u *tensor.Tensor) {
	a, lora, s := b.In[at], b.In[at+1], b.In[at+2]
	if dx != nil || b.Needs[at] {
		bs := m.scaledB(lora, s, dy)
		if dx != nil && w != nil {
			merged := m.mergedWeight(b.Device, w, a, bs)
			linear{}.inputGrad(b.Device, dx, dy, merged)
			merged.Free("a weight with the modules in it, used up")
			dx = nil
		}
		m.narrowBackward(b, at, x, dx, dy, bs)
	}
	if b.Needs[at+1] || b.Needs[at+2] {
		m.scaledGrad(b, at+1, dy, u, false)
	}
}

// narrowBackward adds to dx, if it is not nil, and writes the gradient of a, input at, by that of u.
func (m *multiLoRA) narrowBackward(b *autograd.Backward, at int, x, dx, dy, bs *tensor.Tensor) {
	if dx == nil && !b.Needs[at] {
		return
	}
	a := b.In[at]
	rank, out := bs.Dim(1), bs.Dim(0)
	rows := dy.Numel() / out
	du := b.New(narrowGradType(dy.DType()), rows, rank)
	b.Run(kernels.Matmul{Batch: 1, M: rows, N: rank, K: out}, du, dy, bs, nil)
	if dx != nil {
		m.addInputGrad(b.Device, dx, du, m.a(a, dx))
	}
	if da, acc := b.WeightGrad(at); da != nil {
		b.Run(kernels.Matmul{Batch: 1, M: rank, N: a.Dim(1), K: rows, TransA: true, Acc: acc}, da, du,
			m.dropout(b.Device, x), nil)
	}
}

// addInputGrad: dx += dropout(du a).
func (m *multiLoRA) addInputGrad(d *tensor.Device, dx, du, a *tensor.Tensor) {
	product := kernels.Matmul{Batch: 1, M: du.Dim(0), N: a.Dim(1), K: a.Dim(0), Acc: !m.drops}
	if !m.drops {
		d.Run(product, dx, du, a, nil)
		return
	}
	branch := d.Like(dx)
	d.Run(product, branch, du, a, nil)
	d.Run(kernels.Add{N: dx.Numel(), M: dx.Numel()}, dx, dx, m.dropout(d, branch))
}

// scaledGrad writes db and ds, b being input at and s the next, of u [rows, rank] or, if byColumn, [rank, rows], or what the
// mirror makes them of. Without either s or mirror, db is the product with Scale folded into u.
func (m *multiLoRA) scaledGrad(b *autograd.Backward, at int, dy, u *tensor.Tensor, byColumn bool) {
	lora, s := b.In[at], b.In[at+1]
	product := kernels.Matmul{Batch: 1, M: lora.Dim(0), N: lora.Dim(1), K: u.Numel() / lora.Dim(1), TransA: true,
		TransB: byColumn}
	if m.Mirror != nil && m.Mirror.Grad != nil {
		if dbs, acc := m.Mirror.Grad(b); dbs != nil {
			b.Leave(at)
			b.Leave(at + 1)
			product.Acc = acc
			b.Run(product, dbs, dy, u, nil)
			return
		}
	}
	if s == nil {
		db, acc := b.WeightGrad(at)
		product.Acc = acc
		us := b.Like(u)
		b.Run(kernels.Scale{N: u.Numel(), Alpha: m.Scale}, us, u)
		b.Run(product, db, dy, us, nil)
		return
	}
	dbs := b.Like(lora)
	b.Run(product, dbs, dy, u, nil)
	m.scalesGrad(b, at, dbs)
}

// scalesGrad writes db and ds of ScaledB: of b, input at, and s, the next. It is one kernel where both are added to, or
// both written.
func (m MultiLoRA) scalesGrad(b *autograd.Backward, at int, dbs *tensor.Tensor) {
	lora, s := b.In[at], b.In[at+1]
	db, accB := b.WeightGrad(at)
	ds, accS := b.WeightGrad(at + 1)
	k := kernels.LoRAScaleGrad{Out: lora.Dim(0), Rank: lora.Dim(1), Modules: m.Modules, Alpha: m.Scale,
		PerOutput: m.PerOutput}
	run := func(db, ds *tensor.Tensor, acc bool) {
		if k.Acc = acc; db != nil || ds != nil {
			b.Run(k, db, ds, dbs, lora, s)
		}
	}
	if accB == accS {
		run(db, ds, accB)
		return
	}
	run(db, nil, accB)
	run(nil, ds, accS)
}

func (*multiLoRA) Examples() []autograd.Example {
	example := func(name string, rows, in, out int, bias, s bool, o MultiLoRA,
		value func(i int, r *random.Stream) float64) autograd.Example {
		e := autograd.Example{Name: name, In: []autograd.Input{
			{Shape: []int{rows, in}},
			{Shape: []int{out, in}, Kind: autograd.Weight},
			{Kind: autograd.Weight},
			{Shape: []int{o.Modules * o.Rank, in}, Kind: autograd.Stat},
			{Shape: []int{out, o.Modules * o.Rank}, Kind: autograd.Stat},
			{Kind: autograd.Stat, Value: value},
		}, Call: call(func(in []*Var) *Var { return MultiLoRALinear(in[0], in[1], in[2], in[3], in[4], in[5], o) })}
		if bias {
			e.In[2].Shape = []int{out}
		}
		if s {
			e.In[5].Shape = []int{o.Modules}
			if o.PerOutput {
				e.In[5].Shape = []int{o.Modules, out}
			}
		}
		return e
	}
	plus := func(name string, rows, in, out int, bias bool, o MultiLoRA) autograd.Example {
		e := example(name, rows, in, out, bias, true, o, nil)
		e.In = append(e.In, autograd.Input{Shape: []int{rows, out}})
		e.Call = call(func(in []*Var) *Var {
			return MultiLoRALinearPlus(in[6], in[0], in[1], in[2], in[3], in[4], in[5], o)
		})
		return e
	}
	large := example("large", 512, 4096, 4096, false, true, MultiLoRA{Modules: 3, Rank: 32, Scale: 1}, nil)
	large.Large = true
	zero := func(int, *random.Stream) float64 { return 0 }
	return []autograd.Example{
		example("modules", 3, 7, 5, true, true, MultiLoRA{Modules: 3, Rank: 2, Scale: 0.5}, nil),
		example("per output", 4, 5, 6, false, true, MultiLoRA{Modules: 2, Rank: 3, Scale: 2, PerOutput: true}, nil),
		example("LoRA", 3, 5, 4, true, false, MultiLoRA{Modules: 1, Rank: 2, Scale: 0.5}, nil),
		example("at the start", 3, 5, 4, false, true, MultiLoRA{Modules: 2, Rank: 2, Scale: 1}, zero),
		example("dropout", 9, 8, 3, false, true, MultiLoRA{Modules: 2, Rank: 1, Scale: 1, Dropout: 0.5}, nil),
		example("prime", 67, 33, 31, false, true, MultiLoRA{Modules: 3, Rank: 5, Scale: 1, PerOutput: true}, nil),
		example("one row", 1, 65, 129, true, true, MultiLoRA{Modules: 2, Rank: 8, Scale: 1}, nil),
		example("whole blocks", 19, 64, 96, true, true, MultiLoRA{Modules: 2, Rank: 3, Scale: 1}, nil),
		plus("plus", 19, 64, 36, false, MultiLoRA{Modules: 2, Rank: 4, Scale: 1}),
		plus("plus, bias, dropout", 3, 7, 5, true, MultiLoRA{Modules: 2, Rank: 2, Scale: 1, Dropout: 0.5}),
		plus("plus, bias, merged", 40, 12, 9, true, MultiLoRA{Modules: 2, Rank: 3, Scale: 0.5}),
		plus("plus, one row", 1, 65, 129, false, MultiLoRA{Modules: 2, Rank: 8, Scale: 1}),
		large,
	}
}
