package multilora

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// mirrorGrads makes the gradients of B and of the scalings of a piece's layers from those of the scaled B, in one kernel on
// each tape, where the gradients lie in their memory as the parameters do in theirs: as optim.Gather leaves them.
type mirrorGrads struct {
	piece  *mirrorPiece
	kernel kernels.LoRAMirrorGrad
	from   []int            // of each layer, in the tensor of the scaled B's gradients
	n      int              // elements of that
	tables []*tensor.Tensor // the kernel's scales and parts; nil until there is a gradient
}

// of is where the gradient of layer i's scaled B goes, and whether something is there; nil where the kernel is none of this
// piece's.
func (g *mirrorGrads) of(b *autograd.Backward, i int) (dbs *tensor.Tensor, acc bool) {
	j := b.Joint(g, func() autograd.Joint { return g.begin(b) }).(*scaledGrads)
	if j.dbs == nil {
		return nil, false
	}
	acc, j.written[i] = j.written[i], true
	return j.part(i), acc
}

// scaledGrads are the gradients of a piece's scaled B on one tape.
type scaledGrads struct {
	*mirrorGrads
	db, ds, dbs *tensor.Tensor // db and ds: all the memory of the parameters'; nil where they do not train
	written     []bool         // by layer
}

func (g *mirrorGrads) begin(b *autograd.Backward) *scaledGrads {
	j := &scaledGrads{mirrorGrads: g, written: make([]bool, len(g.piece.layers))}
	var alikeB, alikeS bool
	j.db, alikeB = gradsLikeValues(g.piece.layers, func(l *Linear) *nn.Param { return l.B })
	j.ds, alikeS = gradsLikeValues(g.piece.layers, func(l *Linear) *nn.Param { return l.S })
	together := j.db != nil && j.ds != nil && j.db.Memory() == j.ds.Memory() // which a kernel's outputs may not be
	if !alikeB || !alikeS || together {
		return j
	}
	if g.tables == nil {
		g.lay(b.Device)
	}
	j.dbs = b.Lasting(tensor.F32, g.n)
	return j
}

// gradsLikeValues is the memory of the gradients of a parameter of every layer, nil if none trains; ok is false where some
// train and others do not, or the gradients do not lie as the values do.
func gradsLikeValues(layers []*Linear, of func(l *Linear) *nn.Param) (all *tensor.Tensor, ok bool) {
	for i, l := range layers {
		p := of(l)
		if p == nil || p.Grad == nil || p.Frozen {
			if all != nil {
				return nil, false
			}
			continue
		}
		whole, at := p.Grad.Whole()
		if _, value := p.Value.Whole(); at != value || i > 0 && (all == nil || all.Memory() != whole.Memory()) {
			return nil, false
		}
		all = whole
	}
	return all, true
}

// lay makes the kernel's tables: a row for each module of each layer.
func (g *mirrorGrads) lay(d *tensor.Device) {
	var parts []int32
	var scales []float32
	for _, l := range g.piece.layers {
		o, out, scaling := l.options, l.B.Value.Dim(0), 0
		_, from := l.B.Value.Whole()
		if l.S != nil {
			_, scaling = l.S.Value.Whole()
		}
		for m := range o.Modules {
			step := m
			if o.PerOutput {
				step = m * out
			}
			parts = append(parts, int32(g.n), int32(from), int32(o.Modules*o.Rank), int32(m*o.Rank), int32(o.Rank), int32(out),
				int32(scaling+step))
			scales = append(scales, o.Scale)
		}
		g.from = append(g.from, g.n)
		g.n += (l.B.Value.Numel() + mirrorChunk - 1) / mirrorChunk * mirrorChunk
	}
	g.kernel = kernels.LoRAMirrorGrad{Count: len(scales), PerOutput: g.piece.kernel.PerOutput}
	g.tables = []*tensor.Tensor{d.FromFloat32s(tensor.F32, scales, len(scales)), d.FromInt32s(parts, len(parts))}
	stay(g.tables...)
}

// part is the gradient of layer i's scaled B.
func (j *scaledGrads) part(i int) *tensor.Tensor {
	return j.dbs.View(j.from[i], j.piece.layers[i].B.Value.Shape()...)
}

// Finish implements autograd.Joint.
func (j *scaledGrads) Finish() {
	if j.dbs == nil {
		return
	}
	d := j.dbs.Device()
	for i, written := range j.written {
		if part := j.part(i); !written {
			d.Run(kernels.Fill{N: part.Numel()}, part)
		}
	}
	d.Run(j.kernel, j.db, j.ds, j.dbs, j.piece.args[2], j.piece.args[3], j.tables[0], j.tables[1])
}
