package ops

import (
	"slices"

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
	op := linearCrossEntropy{scale: 1 / float32(counted), kept: keptGradBytes, byRow: byRow, logits: newLogitChunks(weight, o)}
	in := op.logits.inputs("linear_cross_entropy", x, weight, labels)
	if counted < 1 {
		tensor.Panicf("linear_cross_entropy", "%d counted rows: want at least 1", counted)
	}
	return autograd.Apply(op, in...)
}

// keptGradBytes is how large a weight's gradient may be to be computed together with the loss. That saves
// computing the logits a second time, a fifth of a step that trains all of a model of 15 million parameters, a
// thirteenth of one of 110 million, but the gradient is then in memory once more, unless it is written where it belongs
// (Forward.EarlyGrad). That pays for small vocabularies and models, of which it has most of the time and little of the memory.
const keptGradBytes = 128 << 20

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
// it is small, of each product. They lack the factor scale · dloss, so that f16 does not underflow.
func (l linearCrossEntropy) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	labels := f.In[2]
	stat := autograd.StatType(f.In[0].DType())
	rows := f.In[0].Dim(0)
	losses, lse, loss := f.New(stat, rows), f.New(stat, rows), f.New(stat)
	grads := make([]*tensor.Tensor, len(f.In)) // of the inputs; nil: not made here
	var early []logitProduct                   // whose weight's gradient is where it belongs
	for _, p := range products(len(f.In)) {
		if f.Needs[p.x] {
			grads[p.x] = f.Like(f.In[p.x])
		}
		if w := f.In[p.w]; f.Needs[p.w] && l.keeps(f.In[0], w) {
			if grads[p.w] = f.EarlyGrad(p.w, stat); grads[p.w] != nil {
				early = append(early, p)
			} else {
				grads[p.w] = f.New(stat, w.Shape()...)
			}
		}
	}
	l.logits.each(f.Device, f.In, func(c logitChunk) {
		c.losses(losses, lse, labels)
		if !slices.ContainsFunc(grads, func(g *tensor.Tensor) bool { return g != nil }) {
			return
		}
		dlogits := c.grad(lse, labels, 1, nil)
		for _, p := range products(len(f.In)) {
			if dx := grads[p.x]; dx != nil {
				c.inputGrad(dx, dlogits, f.In[p.w])
			}
			if dw := grads[p.w]; dw != nil {
				addWeightGrad(f.Device, dw, dlogits, c.of(f.In[p.x]), c.lo > 0)
			}
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
	saved = append(slices.Clone(grads), lse)
	for _, p := range early {
		saved[p.w] = nil
	}
	return out, saved
}

func (l linearCrossEntropy) Backward(b *autograd.Backward) {
	labels, dloss := b.In[2], b.DOut[0]
	grads, lse := b.Saved[:len(b.In)], b.Saved[len(b.In)]
	factor := b.Like(dloss)
	b.Run(kernels.Scale{N: 1, Alpha: l.scale}, factor, dloss)
	early := make([]*tensor.Tensor, len(b.In)) // all of them before any is written to: they may share memory
	for _, p := range products(len(b.In)) {
		early[p.w] = b.EarlyGrad(p.w)
	}
	var again []logitProduct // whose weight's gradient was too large to be kept
	var lost []logitProduct  // where another call, or somebody else, has written over it
	for _, p := range products(len(b.In)) {
		if dx := grads[p.x]; dx != nil {
			b.Run(kernels.Mul{N: dx.Numel(), M: 1}, dx, dx, factor)
			b.SetGrad(p.x, dx)
		}
		switch kept, early := grads[p.w], early[p.w]; {
		case !b.Needs[p.w]:
		case early != nil:
			b.Run(kernels.Mul{N: early.Numel(), M: 1}, early, early, factor)
		case kept != nil:
			setWeightGrad(b, p.w, kept, factor)
		case l.keeps(b.In[0], b.In[p.w]):
			lost = append(lost, p)
		default:
			again = append(again, p)
		}
	}
	if again != nil {
		l.logits.each(b.Device, b.In, func(c logitChunk) {
			dlogits := c.grad(lse, labels, l.scale, dloss)
			for _, p := range again {
				dw, acc := b.WeightGrad(p.w)
				addWeightGrad(b.Device, dw, dlogits, c.of(b.In[p.x]), acc)
			}
		})
	}
	if lost != nil {
		l.addLost(b, lost, lse, factor)
	}
}

// addLost makes gradients of weights again that Forward had left in their places, with the bits of those: of two heads with one
// weight the second one's gradient is there, and Backward, which comes to it first, writes the sum there.
func (l linearCrossEntropy) addLost(b *autograd.Backward, lost []logitProduct, lse, factor *tensor.Tensor) {
	grads := make([]*tensor.Tensor, len(b.In))
	for _, p := range lost {
		grads[p.w] = b.New(lse.DType(), b.In[p.w].Shape()...)
	}
	l.logits.each(b.Device, b.In, func(c logitChunk) {
		dlogits := c.grad(lse, b.In[2], 1, nil)
		for _, p := range lost {
			addWeightGrad(b.Device, grads[p.w], dlogits, c.of(b.In[p.x]), c.lo > 0)
		}
	})
	for _, p := range lost {
		setWeightGrad(b, p.w, grads[p.w], factor)
	}
}

// keeps reports whether the gradient of a weight, beside x, is computed together with the loss.
func (l linearCrossEntropy) keeps(x, weight *tensor.Tensor) bool {
	return autograd.StatType(x.DType()).Bytes(weight.Numel()) <= l.kept
}

// setWeightGrad: the gradient of input i (+)= kept · factor, by way of kept where it is a sum.
func setWeightGrad(b *autograd.Backward, i int, kept, factor *tensor.Tensor) {
	dw, acc := b.WeightGrad(i)
	n := kept.Numel()
	if !acc {
		b.Run(kernels.Mul{N: n, M: 1}, dw, kept, factor)
		return
	}
	b.Run(kernels.Mul{N: n, M: 1}, kept, kept, factor)
	b.Run(kernels.Add{N: n, M: n}, dw, dw, kept)
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
	beside := func(name string, softCap float32, logits, kept int) autograd.Example {
		return autograd.Example{Name: name, In: besideInputs(7, 5, 19, 3, 4), Call: call(func(in []*Var) *Var {
			return apply(linearCrossEntropy{
				scale: 1. / 7, logits: logitChunks{bytes: logits, softCap: softCap}, kept: kept,
			}, in...)
		})}
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
		beside("beside", 0, 1<<20, 1<<20),
		beside("beside, soft cap, chunks and large weights", 1.5, 2*4*19, 0),
		large,
	}
}
