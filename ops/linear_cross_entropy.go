package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// LinearCrossEntropy is CrossEntropy(Linear(x, weight, nil), labels, counted) without
// ever holding the logits whole: they are made, used and forgotten in chunks of rows.
// x is [rows, dim], weight [vocab, dim] in any storage type, labels i32 [rows], where
// IgnoreLabel marks rows that do not count; the loss has shape [] and is f32.
func LinearCrossEntropy(x, weight, labels *Var, counted int, o ...LogitOption) *Var {
	return newLinearCrossEntropy(x, weight, labels, counted, false, o)[0]
}

// LinearCrossEntropyByRow also gives the loss of each row, f32 [rows] in nats, 0 where it does
// not count. Those are constants: no gradient goes through them.
func LinearCrossEntropyByRow(x, weight, labels *Var, counted int, o ...LogitOption) (loss, rows *Var) {
	out := newLinearCrossEntropy(x, weight, labels, counted, true, o)
	return out[0], autograd.Const(out[1].Tensor())
}

func newLinearCrossEntropy(x, weight, labels *Var, counted int, byRow bool, o []LogitOption) []*Var {
	checkLinearCrossEntropy("linear_cross_entropy", x, weight, labels)
	if counted < 1 {
		tensor.Panicf("linear_cross_entropy", "%d counted rows: want at least 1", counted)
	}
	op := linearCrossEntropy{scale: 1 / float32(counted), kept: keptGradBytes, byRow: byRow, logits: newLogitChunks(o)}
	return autograd.Apply(op, x, weight, labels)
}

// checkLinearCrossEntropy refuses what has other shapes than LinearCrossEntropy says.
func checkLinearCrossEntropy(op string, x, weight, labels *Var) {
	xt, w, l := x.Tensor(), weight.Tensor(), labels.Tensor()
	if xt.Rank() != 2 || w.Rank() != 2 || w.Dim(1) != xt.Dim(1) {
		tensor.Panicf(op, "x is %s, weight %s: want [rows, dim] and [vocab, dim]", xt, w)
	}
	if l.DType() != tensor.I32 || !l.HasShape(xt.Dim(0)) {
		tensor.Panicf(op, "labels are %s for x %s: want i32 [%d]", l, xt, xt.Dim(0))
	}
}

// keptGradBytes is how large a weight's gradient may be to be computed together with
// the loss. That saves computing the logits a second time, but the gradient is then
// in memory beside all activations, at the step's peak.
const keptGradBytes = 16 << 20

type linearCrossEntropy struct {
	scale  float32
	logits logitChunks
	kept   int  // keptGradBytes, but for tests
	byRow  bool // the losses of the rows are an output, too
}

// rowsOf is rows [lo, hi) of t, in place.
func rowsOf(t *tensor.Tensor, lo, hi int) *tensor.Tensor {
	shape := t.Shape()
	shape[0] = hi - lo
	return t.View(lo*(t.Numel()/t.Dim(0)), shape...)
}

// addWeightGrad: dw (+)= dlogitsᵀ x for one chunk.
func addWeightGrad(d *tensor.Device, dw, dlogits, x *tensor.Tensor, acc bool) {
	d.Run(kernels.Matmul{Batch: 1, M: dlogits.Dim(1), N: x.Dim(1), K: x.Dim(0), TransA: true, Acc: acc}, dw, dlogits, x,
		nil)
}

// Forward computes the gradients too, while the logits are there: dx always, dw where
// it is small. They lack the factor scale · dloss, so that f16 does not underflow.
func (l linearCrossEntropy) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, w, labels := f.In[0], f.In[1], f.In[2]
	stat := autograd.StatType(x.DType())
	rows, vocab, dim := x.Dim(0), w.Dim(0), x.Dim(1)
	losses, lse, loss := f.New(stat, rows), f.New(stat, rows), f.New(stat)
	var dx, dw *tensor.Tensor
	if f.Needs[0] {
		dx = f.Like(x)
	}
	if f.Needs[1] && stat.Bytes(w.Numel()) <= l.kept {
		dw = f.New(stat, vocab, dim)
	}
	l.logits.each(f.Device, x, w, func(c logitChunk) {
		c.losses(losses, lse, labels)
		if dx == nil && dw == nil {
			return
		}
		dlogits := c.grad(lse, labels, 1, nil)
		if dx != nil {
			f.Run(kernels.Matmul{Batch: 1, M: c.rows(), N: dim, K: vocab}, c.of(dx), dlogits, w, nil)
		}
		if dw != nil {
			addWeightGrad(f.Device, dw, dlogits, c.of(x), c.lo > 0)
		}
	})
	f.Run(kernels.Sum{Outer: 1, N: rows, Inner: 1, Scale: l.scale}, loss, losses)
	out = one(loss)
	if l.byRow {
		out = append(out, losses)
	}
	if !f.AnyNeeds() {
		return out, nil
	}
	return out, []*tensor.Tensor{lse, dx, dw}
}

func (l linearCrossEntropy) Backward(b *autograd.Backward) {
	x, w, labels, dloss := b.In[0], b.In[1], b.In[2], b.DOut[0]
	lse, dx, dw := b.Saved[0], b.Saved[1], b.Saved[2]
	factor := b.Like(dloss)
	b.Run(kernels.Scale{N: 1, Alpha: l.scale}, factor, dloss)
	scaled := func(g *tensor.Tensor) *tensor.Tensor {
		b.Run(kernels.Mul{N: g.Numel(), M: 1}, g, g, factor)
		return g
	}
	if b.Needs[0] {
		b.SetGrad(0, scaled(dx))
	}
	switch {
	case b.Needs[1] && dw != nil:
		b.SetGrad(1, scaled(dw))
	case b.Needs[1]:
		l.logits.each(b.Device, x, w, func(c logitChunk) {
			dlogits := c.grad(lse, labels, l.scale, dloss)
			dw, acc := b.WeightGrad(1)
			addWeightGrad(b.Device, dw, dlogits, c.of(x), acc)
		})
	}
}

func (linearCrossEntropy) Examples() []autograd.Example {
	example := func(name string, rows, dim, vocab, ignore, logits, kept int) autograd.Example {
		return autograd.Example{Name: name, In: headInputs(rows, dim, vocab, ignore), Call: call(func(in []*Var) *Var {
			if logits == 0 {
				return LinearCrossEntropy(in[0], in[1], in[2], rows)
			}
			return apply(linearCrossEntropy{
				scale: 1 / float32(rows), logits: logitChunks{bytes: logits}, kept: kept,
			}, in...)
		})}
	}
	capped := func(name string, logits, kept int) autograd.Example {
		e := example(name, 7, 5, 19, 3, logits, kept)
		e.Call = call(func(in []*Var) *Var {
			return apply(linearCrossEntropy{
				scale: 1. / 7, logits: logitChunks{bytes: logits, softCap: 1.5}, kept: kept,
			}, in...)
		})
		return e
	}
	large := example("large", 2048, 512, 32000, 3, 0, 0)
	large.Large = true
	return []autograd.Example{
		example("every third ignored", 7, 5, 19, 3, 0, 0),
		example("one row", 1, 8, 33, 2, 0, 0),
		example("chunks of two rows", 7, 5, 19, 3, 2*4*19, 1<<20),
		example("chunks and a large weight", 7, 5, 19, 3, 2*4*19, 0),
		example("rows larger than a chunk", 3, 4, 67, 4, 1, 0),
		example("whole blocks", 7, 64, 35, 3, 2*4*35, 0),
		capped("soft cap", 1<<20, 1<<20),
		capped("soft cap, chunks and a large weight", 2*4*19, 0),
		large,
	}
}
