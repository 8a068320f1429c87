package multilora

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// mirror is what products take of the modules of an adapter's layers: B with its scalings and scale, and beside
// activations of 16 bits A, in the activations' type. It is made anew where a parameter has been written to since, all that
// lies in the same memory in one kernel: after optim.Gather that is all that trains, once a step.
type mirror struct {
	linears []*Linear
	dtype   tensor.DType
	of      map[*Linear]mirrored
}

// mirrored is one layer's part: of which tensors it was made, and where.
type mirrored struct {
	a, b, s *tensor.Tensor
	piece   *mirrorPiece
	made    *ops.LoRAMirror
}

// mirrorPiece is the layers whose parameters lie in the same memories.
type mirrorPiece struct {
	kernel   kernels.LoRAMirror
	args     []*tensor.Tensor // of the kernel; the second to the fourth, a, b and s, are whole memories
	made     bool             // the kernel has run
	versions [3]uint64        // of those memories, when it last did

	layers []*Linear
	grads  *mirrorGrads // nil: the layers' gradients are added by themselves
}

// mirrorChunk is what the parts of a mirror begin at multiples of: 512 bytes.
const mirrorChunk = 256

// modules is a layer's modules in dt, as its parameters are now.
func (m *mirror) modules(l *Linear, dt tensor.DType) *ops.LoRAMirror {
	if p := m.of[l]; m.dtype != dt || p.a != l.A.Value || p.b != l.B.Value || l.S != nil && p.s != l.S.Value {
		m.lay(dt)
	}
	p := m.of[l]
	p.piece.refresh()
	return p.made
}

// refresh makes the numbers, unless they are right.
func (p *mirrorPiece) refresh() {
	var versions [3]uint64
	for i, x := range p.args[1:4] {
		if x != nil {
			versions[i] = x.Version()
		}
	}
	if !p.made || versions != p.versions {
		p.args[0].Device().Run(p.kernel, p.args...)
		p.made, p.versions = true, versions
	}
}

// lay finds a place for every layer's modules, in the memory of a new tensor for all that one kernel makes.
func (m *mirror) lay(dt tensor.DType) {
	for _, p := range m.of {
		if y := p.piece.args[0]; y.Alive() {
			y.Free("the adapter's parameters have moved, or its activations are of another type")
		}
	}
	type memories struct{ a, b, s any }
	var order []memories
	together := map[memories][]*Linear{}
	for _, l := range m.linears {
		in := memories{a: l.A.Value.Memory(), b: l.B.Value.Memory()}
		if l.S != nil {
			in.s = l.S.Value.Memory()
		}
		if together[in] == nil {
			order = append(order, in)
		}
		together[in] = append(together[in], l)
	}
	m.dtype, m.of = dt, map[*Linear]mirrored{}
	for _, in := range order {
		m.layPiece(together[in])
	}
}

// layPiece lays out layers whose parameters lie in the same memories: first every A, unless it is as products take it, then
// every B.
func (m *mirror) layPiece(layers []*Linear) {
	first := layers[0]
	piece := &mirrorPiece{args: make([]*tensor.Tensor, 7), layers: layers}
	var parts, partOf []int32
	var scales []float32
	add := func(x *tensor.Tensor, of ...int32) (from int) {
		from = len(partOf) * mirrorChunk
		for range (x.Numel() + mirrorChunk - 1) / mirrorChunk {
			partOf = append(partOf, int32(len(scales)))
		}
		_, at := x.Whole()
		parts = append(parts, int32(from), int32(at), int32(x.Numel()))
		parts, scales = append(parts, of...), append(scales, first.options.Scale)
		return from
	}
	var fromA, fromB []int
	if m.dtype.Is16Bit() {
		for _, l := range layers {
			fromA = append(fromA, add(l.A.Value, 0, 0, 0, 0))
		}
	}
	for _, l := range layers {
		o, at := l.options, 0
		if l.S != nil {
			_, at = l.S.Value.Whole()
		}
		fromB = append(fromB, add(l.B.Value, int32(o.Modules*o.Rank), int32(o.Rank), int32(l.B.Value.Dim(0)), int32(at)))
		scales[len(scales)-1] = o.Scale
	}
	d := first.A.Value.Device()
	piece.kernel = kernels.LoRAMirror{N: len(partOf) * mirrorChunk, Chunk: mirrorChunk, Count: len(scales),
		PerOutput: first.options.PerOutput}
	y := d.New(m.dtype, piece.kernel.N)
	piece.args[0] = y
	piece.args[1], _ = first.A.Value.Whole()
	piece.args[2], _ = first.B.Value.Whole()
	if first.S != nil {
		piece.args[3], _ = first.S.Value.Whole()
	}
	piece.args[4] = d.FromFloat32s(tensor.F32, scales, len(scales))
	piece.args[5] = d.FromInt32s(parts, len(parts))
	piece.args[6] = d.FromInt32s(partOf, len(partOf))
	stay(y, piece.args[4], piece.args[5], piece.args[6])
	if d.Launches() {
		piece.grads = &mirrorGrads{piece: piece}
	}
	for i, l := range layers {
		p := mirrored{a: l.A.Value, b: l.B.Value, piece: piece, made: &ops.LoRAMirror{
			A: l.A.Value, ScaledB: y.View(fromB[i], l.B.Value.Shape()...),
		}}
		if piece.grads != nil {
			p.made.Grad = func(b *autograd.Backward) (*tensor.Tensor, bool) { return piece.grads.of(b, i) }
		}
		if fromA != nil {
			p.made.A = y.View(fromA[i], l.A.Value.Shape()...)
		}
		if l.S != nil {
			p.s = l.S.Value
		}
		m.of[l] = p
	}
}

// stay keeps tensors whatever scope closes.
func stay(ts ...*tensor.Tensor) {
	for s := ts[0].Device().CurrentScope(); s != nil; s = s.Parent() {
		s.Keep(ts...)
	}
}
