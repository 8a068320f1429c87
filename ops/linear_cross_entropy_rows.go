package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// LinearCrossEntropyRows is the loss of each row, -log softmax(Linear(x, weight, nil))[label], f32
// [rows] in nats, 0 where the label is IgnoreLabel. x is [rows, dim], weight [vocab, dim] in any
// storage type, labels i32 [rows]. As in LinearCrossEntropy the logits are never whole in memory;
// here each row has a gradient of its own, as a loss that is no mere sum of rows wants it.
func LinearCrossEntropyRows(x, weight, labels *Var, o ...LogitOption) *Var {
	l := newLogitChunks(weight, o)
	return apply(linearCrossEntropyRows{l}, l.inputs("linear_cross_entropy_rows", x, weight, labels)...)
}

// linearCrossEntropyRows makes in Forward the gradient of x as if that of every row were 1, while
// the logits are there; Backward has only to multiply its rows. That of a weight is another sum for
// other gradients of rows, so Backward makes the logits again, which few models that train
// adapters need.
type linearCrossEntropyRows struct {
	logits logitChunks
}

func (l linearCrossEntropyRows) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	labels := f.In[2]
	stat := autograd.StatType(f.In[0].DType())
	rows := f.In[0].Dim(0)
	losses, lse := f.New(stat, rows), f.New(stat, rows)
	grads := make([]*tensor.Tensor, len(f.In)) // of what has rows; nil: not wanted
	wanted := false
	for _, p := range products(len(f.In)) {
		if f.Needs[p.x] {
			grads[p.x], wanted = f.Like(f.In[p.x]), true
		}
	}
	l.logits.each(f.Device, f.In, func(c logitChunk) {
		c.losses(losses, lse, labels)
		if !wanted {
			return
		}
		dlogits := c.grad(lse, labels, 1, nil)
		for _, p := range products(len(f.In)) {
			if dx := grads[p.x]; dx != nil {
				c.inputGrad(dx, dlogits, f.In[p.w])
			}
		}
	})
	if !f.AnyNeeds() {
		return one(losses), nil
	}
	return one(losses), append(grads, lse)
}

func (l linearCrossEntropyRows) Backward(b *autograd.Backward) {
	labels, dLosses := b.In[2], b.DOut[0]
	grads, lse := b.Saved[:len(b.In)], b.Saved[len(b.In)]
	// timesGrad is a piece of [rows, dim] with each row times its gradient, in f32: gradients times a
	// loss scale are more than f16 holds.
	timesGrad := func(y *tensor.Tensor, lo, hi int) *tensor.Tensor {
		g := b.New(dLosses.DType(), hi-lo, y.Dim(1))
		b.Run(kernels.Expand{Outer: hi - lo, N: y.Dim(1), Inner: 1, Scale: 1}, g, rowsOf(dLosses, lo, hi))
		b.Run(kernels.Mul{N: g.Numel(), M: g.Numel()}, g, g, rowsOf(y, lo, hi))
		return g
	}
	var weights []logitProduct // whose weight has a gradient
	for _, p := range products(len(b.In)) {
		if b.Needs[p.w] {
			weights = append(weights, p)
		}
		if !b.Needs[p.x] {
			continue
		}
		grad, rows := b.Grad(p.x), b.In[p.x].Dim(0)
		size := max(1, min(l.logits.bytes, logitBytes)/(4*b.In[p.x].Dim(1)))
		for lo := 0; lo < rows; lo += size {
			hi := min(lo+size, rows)
			g := timesGrad(grads[p.x], lo, hi)
			b.Run(kernels.Cast{N: g.Numel()}, rowsOf(grad, lo, hi), g)
			g.Free("a piece of a gradient, copied")
		}
	}
	if weights == nil {
		return
	}
	l.logits.each(b.Device, b.In, func(c logitChunk) {
		dlogits := c.grad(lse, labels, 1, nil)
		for _, p := range weights {
			dw, acc := b.WeightGrad(p.w)
			g := timesGrad(b.In[p.x], c.lo, c.hi)
			addWeightGrad(b.Device, dw, dlogits, g, acc)
			g.Free("rows times their gradients, used up")
		}
	})
}

func (linearCrossEntropyRows) Examples() []autograd.Example {
	example := func(name string, rows, dim, vocab, ignore, logits int) autograd.Example {
		return autograd.Example{Name: name, In: headInputs(rows, dim, vocab, ignore), Call: call(func(in []*Var) *Var {
			if logits == 0 {
				return LinearCrossEntropyRows(in[0], in[1], in[2])
			}
			return apply(linearCrossEntropyRows{logitChunks{bytes: logits}}, in...)
		})}
	}
	beside := example("beside, chunks of two rows", 7, 5, 19, 3, 2*4*19)
	beside.In = besideInputs(7, 5, 19, 3, 4)
	large := example("large", 2048, 512, 32000, 3, 0)
	large.Large = true
	return []autograd.Example{
		example("every third ignored", 7, 5, 19, 3, 0),
		example("one row", 1, 8, 33, 2, 0),
		example("chunks of two rows", 7, 5, 19, 3, 2*4*19),
		example("rows larger than a chunk", 3, 4, 67, 4, 1),
		beside,
		large,
	}
}
