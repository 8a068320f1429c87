package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// LinearCrossEntropy is CrossEntropy(Linear(x, weight, nil), labels, counted) without
// ever holding the logits whole: they are made, used and forgotten in chunks of rows.
// x is [rows, dim], weight [vocab, dim] in any storage type, labels i32 [rows], where
// IgnoreLabel marks rows that do not count; the loss has shape [] and is f32.
func LinearCrossEntropy(x, weight, labels *Var, counted int) *Var {
	return newLinearCrossEntropy(x, weight, labels, counted, false)[0]
}

// LinearCrossEntropyByRow also gives the loss of each row, f32 [rows] in nats, 0 where it does
// not count. Those are constants: no gradient goes through them.
func LinearCrossEntropyByRow(x, weight, labels *Var, counted int) (loss, rows *Var) {
	out := newLinearCrossEntropy(x, weight, labels, counted, true)
	return out[0], autograd.Const(out[1].Tensor())
}

func newLinearCrossEntropy(x, weight, labels *Var, counted int, byRow bool) []*Var {
	checkLinearCrossEntropy("linear_cross_entropy", x, weight, labels)
	if counted < 1 {
		tensor.Panicf("linear_cross_entropy", "%d counted rows: want at least 1", counted)
	}
	op := linearCrossEntropy{scale: 1 / float32(counted), logits: logitBytes, kept: keptGradBytes, byRow: byRow}
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

// logitBytes is how large a chunk of logits may be: large enough that the weight is
// not read too often, small beside everything else in memory.
const logitBytes = 32 << 20

// wholeTiles is the rows of which a chunk has a multiple where it can: a few more than a GPU's
// largest tile take the time of two.
const wholeTiles = 128

// keptGradBytes is how large a weight's gradient may be to be computed together with
// the loss. That saves computing the logits a second time, but the gradient is then
// in memory beside all activations, at the step's peak.
const keptGradBytes = 16 << 20

type linearCrossEntropy struct {
	scale        float32
	logits, kept int  // logitBytes and keptGradBytes, but for tests
	byRow        bool // the losses of the rows are an output, too
}

// chunks calls f with the rows [lo, hi) of each chunk and memory for its logits, f32
// whatever the activations are.
func (l linearCrossEntropy) chunks(d *tensor.Device, x, w *tensor.Tensor, f func(lo, hi int, logits *tensor.Tensor)) {
	stat := autograd.StatType(x.DType())
	rows, vocab, dim := x.Dim(0), w.Dim(0), x.Dim(1)
	size := min(rows, max(1, l.logits/(4*vocab)))
	if size == 0 {
		return
	}
	if size < rows && size > wholeTiles {
		size -= size % wholeTiles
	}
	memory := d.New(stat, size, vocab)
	for lo := 0; lo < rows; lo += size {
		hi := min(lo+size, rows)
		logits := memory.View(0, hi-lo, vocab)
		d.Run(kernels.Matmul{Batch: 1, M: hi - lo, N: vocab, K: dim, TransB: true}, logits, rowsOf(x, lo, hi), w, nil)
		f(lo, hi, logits)
	}
	memory.Free("a chunk of logits, used up")
}

// rowsOf is rows [lo, hi) of t, in place.
func rowsOf(t *tensor.Tensor, lo, hi int) *tensor.Tensor {
	shape := t.Shape()
	shape[0] = hi - lo
	return t.View(lo*(t.Numel()/t.Dim(0)), shape...)
}

// addWeightGrad: dw (+)= dlogitsᵀ x for one chunk.
func (linearCrossEntropy) addWeightGrad(d *tensor.Device, dw, dlogits, x *tensor.Tensor, acc bool) {
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
	l.chunks(f.Device, x, w, func(lo, hi int, logits *tensor.Tensor) {
		part, label := rowsOf(lse, lo, hi), rowsOf(labels, lo, hi)
		f.Run(kernels.CrossEntropy{Rows: hi - lo, Vocab: vocab}, rowsOf(losses, lo, hi), part, logits, label)
		if dx == nil && dw == nil {
			return
		}
		f.Run(kernels.CrossEntropyGrad{Rows: hi - lo, Vocab: vocab, Scale: 1}, logits, logits, label, part, nil)
		if dx != nil {
			f.Run(kernels.Matmul{Batch: 1, M: hi - lo, N: dim, K: vocab}, rowsOf(dx, lo, hi), logits, w, nil)
		}
		if dw != nil {
			l.addWeightGrad(f.Device, dw, logits, rowsOf(x, lo, hi), lo > 0)
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
		l.chunks(b.Device, x, w, func(lo, hi int, logits *tensor.Tensor) {
			b.Run(kernels.CrossEntropyGrad{Rows: hi - lo, Vocab: w.Dim(0), Scale: l.scale}, logits, logits,
				rowsOf(labels, lo, hi), rowsOf(lse, lo, hi), dloss)
			dw, acc := b.WeightGrad(1)
			l.addWeightGrad(b.Device, dw, logits, rowsOf(x, lo, hi), acc)
		})
	}
}

func (linearCrossEntropy) Examples() []autograd.Example {
	example := func(name string, rows, dim, vocab, ignore, logits, kept int) autograd.Example {
		label := func(i int, r *random.Stream) float64 {
			if i%ignore == ignore-1 {
				return IgnoreLabel
			}
			return float64(r.IntN(vocab))
		}
		return autograd.Example{Name: name, In: []autograd.Input{
			{Shape: []int{rows, dim}},
			{Shape: []int{vocab, dim}, Kind: autograd.Weight},
			{Shape: []int{rows}, Kind: autograd.Index, Value: label},
		}, Call: call(func(in []*Var) *Var {
			if logits == 0 {
				return LinearCrossEntropy(in[0], in[1], in[2], rows)
			}
			return apply(linearCrossEntropy{scale: 1 / float32(rows), logits: logits, kept: kept}, in...)
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
		large,
	}
}
