package optim

import (
	"fmt"
	"iter"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// maxBlock is the most bytes of masters in one block, unless one parameter alone has
// more: drivers refuse allocations of a few GiB.
const maxBlock = 1 << 30

// align is the elements that each parameter's start is a multiple of: 256 bytes in the
// narrowest storage, 16 bits.
const align = 128

// Trainable is all that trains of a model, in flat blocks.
//
// What trains, its gradient and its moments are f32. A 16-bit parameter has an f32
// master, which the optimizer moves and rounds to the parameter after each step.
type Trainable struct {
	dev     *tensor.Device
	entries []entry
	blocks  []*block

	division Division

	partial      *tensor.Tensor // sums of squares of the gradients' parts
	factor, norm *tensor.Tensor // [1] each, from ClipByNorm
	clip         *tensor.Tensor // factor until the next Step; nil: the gradients as they are
}

// entry is a parameter and its place in a block.
type entry struct {
	name  string
	param *autograd.Param
	block int
	from  int
}

// block holds parameters of one group and one dtype, one behind the other. The padding
// between them is zero and stays zero: no rule moves a zero whose gradient is zero.
type block struct {
	group  group
	dtype  tensor.DType // of the parameters
	n      int
	value  *tensor.Tensor // [n] f32: the masters; beside a mirror this process's part of them
	grad   *tensor.Tensor // [n] f32
	mirror *tensor.Tensor // [n] in dtype, or nil where that is f32

	ends     []int // where each process's part ends (Division)
	sumEnds  []int // and of the partial sums
	from, to int   // this process's part
}

// Gather moves every parameter of the model m that is not Frozen into the blocks of a
// Trainable: Value and Grad become views of them, Grad is zero, and the memory that the
// values had before is freed: of what shares it with others that stay, such as a frozen q_proj's beside a k_proj that
// trains (nn/llama), with those. A parameter met twice (tied weights) is gathered once,
// under its first name.
//
// A parameter belongs to the first group that matches its name. One that none matches
// has the optimizer's weight decay if it is a matrix, and none if it is a vector (a
// norm's weight, a bias) or the scaling of an adapter's modules (its name ends in .s).
// A group that matches nothing is an error, and so is a model of which nothing trains.
func Gather(d *tensor.Device, m any, groups ...Group) (*Trainable, error) {
	tensor.NotNil("optim.Gather", "a device", d)
	tensor.NotNil("optim.Gather", "a model", m)
	return gather(d, m, Division{}, groups, maxBlock)
}

// GatherDivided is Gather for one of several processes that divide masters and moments.
func GatherDivided(d *tensor.Device, m any, division Division, groups ...Group) (*Trainable, error) {
	tensor.NotNil("optim.GatherDivided", "a device", d)
	tensor.NotNil("optim.GatherDivided", "a model", m)
	if division.Rank < 0 || division.Rank >= division.size() {
		return nil, fmt.Errorf("optim: a division: want a rank from 0 to %d, got %d", division.size()-1, division.Rank)
	}
	return gather(d, m, division, groups, maxBlock)
}

func gather(d *tensor.Device, m any, division Division, groups []Group, maxBlock int) (*Trainable, error) {
	for _, g := range groups {
		if err := g.check(); err != nil {
			return nil, err
		}
	}
	t := &Trainable{dev: d, division: division}
	if err := t.place(m, groups, maxBlock); err != nil {
		return nil, err
	}
	parts := 0
	for i, b := range t.blocks {
		b.ends, b.sumEnds = division.ends(b)
		b.from, b.to = part(b.ends, division.Rank)
		t.fill(i)
		parts += b.parts()
	}
	t.partial, t.factor, t.norm = t.zeros(parts), t.zeros(1), t.zeros(1)
	var left []*tensor.Tensor
	for _, e := range t.entries {
		old := e.param.Value
		left = append(left, old)
		b, shape := t.blocks[e.block], old.Shape()
		e.param.Grad = b.grad.View(e.from, shape...)
		e.param.Value = b.stored().View(e.from, shape...)
	}
	stays := map[any]bool{}
	for _, p := range nn.Params(m) {
		stays[p.Value.Memory()] = true
	}
	freeLeft(left, stays)
	d.Trim() // nothing of these sizes will be asked for again
	return t, d.Err()
}

// freeLeft frees the memory that parameters have left: what nobody shares, and what several of them make up, as those of a
// model that lie one behind the other do, unless another parameter stays there. Other memory is the collector's, once nobody needs it.
func freeLeft(left []*tensor.Tensor, stays map[any]bool) {
	type share struct{ parts, bytes int }
	shares := map[any]share{}
	for _, x := range left {
		s := shares[x.Memory()]
		shares[x.Memory()] = share{s.parts + 1, s.bytes + x.Bytes()}
	}
	for _, x := range left {
		if !x.Alive() || stays[x.Memory()] {
			continue
		}
		if s := shares[x.Memory()]; x.Shared() && (s.parts == 1 || x.Borrowed() || !fills(x, s.bytes)) {
			continue
		}
		x.Free("optim.Gather has moved the parameter into a block: its Value is there")
	}
}

// fills reports whether so many bytes are all that tensors can have of x's memory.
func fills(x *tensor.Tensor, bytes int) bool {
	all, _ := x.Whole()
	return all.Bytes()-bytes < tensor.SlabAlign
}

// fill makes block i of the parameters' values.
func (t *Trainable) fill(i int) {
	b := t.blocks[i]
	b.value, b.grad = t.zeros(b.n), t.zeros(b.n)
	for _, e := range t.entries {
		if old := e.param.Value; e.block == i {
			t.dev.Run(kernels.Cast{N: old.Numel()}, b.value.View(e.from, old.Numel()), old)
		}
	}
	if b.dtype == tensor.F32 {
		return
	}
	b.mirror = t.dev.NewExact(b.dtype, b.n)
	t.dev.Run(kernels.Cast{N: b.n}, b.mirror, b.value)
	if b.to-b.from == b.n {
		return
	}
	whole := b.value
	b.value = nil
	if n := b.to - b.from; n > 0 {
		b.value = t.dev.NewExact(tensor.F32, n)
		t.dev.Run(kernels.Cast{N: n}, b.value, whole.View(b.from, n))
	}
	whole.Free("optim.Gather has kept this process's part of the masters")
}

// place gives every parameter that trains its block and its place there.
func (t *Trainable) place(m any, groups []Group, maxBlock int) error {
	type kind struct {
		group group
		dtype tensor.DType
	}
	open := map[kind]int{} // the block that the next parameter of a kind goes to
	seen := map[*autograd.Param]bool{}
	matched := make([]bool, len(groups))
	for name, p := range order(m) {
		if p.Frozen || seen[p] {
			continue
		}
		seen[p] = true
		if dt := p.Value.DType(); dt != tensor.F32 && !dt.Is16Bit() {
			return fmt.Errorf("optim: parameter %s is %s: want f32, f16 or bf16 of one that trains", name, p.Value)
		}
		k := kind{groupOf(name, p, groups, matched), p.Value.DType()}
		i, ok := open[k]
		n := (p.Value.Numel() + align - 1) / align * align
		if !ok || tensor.F32.Bytes(t.blocks[i].n+n) > maxBlock {
			i = len(t.blocks)
			open[k] = i
			t.blocks = append(t.blocks, &block{group: k.group, dtype: k.dtype})
		}
		t.entries = append(t.entries, entry{name, p, i, t.blocks[i].n})
		t.blocks[i].n += n
	}
	if len(t.entries) == 0 {
		return fmt.Errorf("optim: nothing to gather: no parameter of %T trains", m)
	}
	for i, g := range groups {
		if !matched[i] {
			return fmt.Errorf("optim: group %q matches none of the %d parameters that train and that no group "+
				"before it has", g.Match, len(t.entries))
		}
	}
	return nil
}

// order gives the parameters of a model in its order, but each right behind the one that it is to come after.
func order(m any) iter.Seq2[string, *autograd.Param] {
	type named struct {
		name  string
		param *autograd.Param
	}
	behind := map[*autograd.Param][]named{}
	for name, p := range nn.Params(m) {
		if p.After != nil {
			behind[p.After] = append(behind[p.After], named{name, p})
		}
	}
	return func(yield func(string, *autograd.Param) bool) {
		given := map[*autograd.Param]bool{}
		var give func(name string, p *autograd.Param) bool
		give = func(name string, p *autograd.Param) bool {
			if given[p] {
				return true
			}
			given[p] = true
			if !yield(name, p) {
				return false
			}
			for _, next := range behind[p] {
				if !give(next.name, next.param) {
					return false
				}
			}
			return true
		}
		for name, p := range nn.Params(m) {
			if !give(name, p) {
				return
			}
		}
	}
}

func (t *Trainable) zeros(n int) *tensor.Tensor {
	x := t.dev.NewExact(tensor.F32, n)
	t.dev.Run(kernels.Fill{N: n}, x)
	return x
}

// stored is where the parameters' values lie.
func (b *block) stored() *tensor.Tensor {
	if b.mirror != nil {
		return b.mirror
	}
	return b.value
}

// fillMirror rounds masters to the parameters' type, if that is another.
func fillMirror(mirror, value *tensor.Tensor) {
	if mirror != nil {
		mirror.Device().Run(kernels.Cast{N: mirror.Numel()}, mirror, value)
	}
}

// Params gives what trains, by name, in the model's order, but each parameter behind the one that it is to come after.
func (t *Trainable) Params() iter.Seq2[string, *autograd.Param] {
	return func(yield func(string, *autograd.Param) bool) {
		for _, e := range t.entries {
			if !yield(e.name, e.param) {
				return
			}
		}
	}
}

// Numel is the number of trained numbers.
func (t *Trainable) Numel() int {
	n := 0
	for _, e := range t.entries {
		n += e.param.Value.Numel()
	}
	return n
}

// ZeroGrad makes all gradients zero.
func (t *Trainable) ZeroGrad() {
	t.settle()
	for _, b := range t.blocks {
		t.dev.Run(kernels.Fill{N: b.n}, b.grad)
	}
}

// ForgetGrad is ZeroGrad that leaves the zeros to be written to those who need them: Backward writes where it would
// have added to them, and the other methods see zeros where it has not been. What the parameters' Grad holds until then is not
// defined. Where every kernel has a price of its own it is ZeroGrad.
func (t *Trainable) ForgetGrad() {
	if t.dev.Launches() {
		t.ZeroGrad()
		return
	}
	for _, e := range t.entries {
		e.param.ForgetGrad()
	}
}

// settle makes gradients that ForgetGrad has left, and no Backward has written since, zero.
func (t *Trainable) settle() {
	for _, e := range t.entries {
		e.param.SettleGrad()
	}
}
