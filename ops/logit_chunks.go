package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// LogitOption says what a language model does to its logits before the softmax.
type LogitOption func(*logitChunks)

// CapLogits bounds logits: x becomes bound tanh(x / bound) (Gemma 2, 2408.00118, section 2). 0: it
// does not.
func CapLogits(bound float32) LogitOption {
	if !(bound >= 0) {
		tensor.Panicf("cap_logits", "bound %v: want at least 0", bound)
	}
	return func(l *logitChunks) { l.softCap = bound }
}

// A chunk of logits may always have logitBytes, and more only up to manyRows. It should be so large that the weight is not
// read and packed, and its gradient not added to, too often, and small beside everything else in memory.
const (
	logitBytes = 32 << 20
	manyRows   = 512
)

// chunkBytes is how large a chunk of the logits x weightᵀ may be, by what a run holds of the weight anyway: of one that trains
// the gradient, which may be there twice, and an optimizer's moments. It is the same with a tape and without.
func chunkBytes(weight *Var) int {
	w := weight.Tensor()
	share := w.Bytes() / 4
	if weight.NeedsGrad() {
		share = 2 * tensor.F32.Bytes(w.Numel())
	}
	return max(logitBytes, min(share, manyRowsBytes(w)))
}

// manyRowsBytes is manyRows logits, in float32.
func manyRowsBytes(weight *tensor.Tensor) int { return tensor.F32.Bytes(manyRows * weight.Dim(0)) }

// Beside adds u upᵀ to the logits, a low-rank change of the weight that is not in it: u is [rows, rank], of the
// type of x or f32, up [vocab, rank] in any storage type. Both may have gradients.
func Beside(u, up *Var) LogitOption {
	if ut, w := u.Tensor(), up.Tensor(); ut.Rank() != 2 || w.Rank() != 2 || ut.Dim(1) != w.Dim(1) {
		tensor.Panicf("logits_beside", "u is %s, up %s: want [rows, rank] and [vocab, rank]", ut, w)
	}
	return func(l *logitChunks) { l.beside = []*Var{u, up} }
}

// wholeTiles is the rows of which a chunk has a multiple where it can: a few more than a GPU's
// largest tile take the time of two.
const wholeTiles = 128

// logitChunks makes the logits x weightᵀ, and what is beside, a few rows at a time.
type logitChunks struct {
	bytes   int // of a chunk: chunkBytes, but for tests
	softCap float32
	beside  []*Var // u and up; nil: nothing
}

func newLogitChunks(weight *Var, options []LogitOption) logitChunks {
	l := logitChunks{bytes: chunkBytes(weight)}
	for _, o := range options {
		o(&l)
	}
	// A product of bfloat16 takes half the time of one of float32 where processors have it, packing the weight as long: half as many
	// chunks pay for that. None of their sums goes over rows, so that no bit depends on how many there are, but for a last chunk of
	// one row: a product of a single row adds in an order of its own.
	if w := weight.Tensor(); w.DType() == tensor.BF16 && !weight.NeedsGrad() && l.beside == nil {
		l.bytes = max(l.bytes, min(2*logitBytes, manyRowsBytes(w)))
	}
	return l
}

// inputs are those of an operation on logits: x, weight, labels, and what is beside.
func (l logitChunks) inputs(op string, x, weight, labels *Var) []*Var {
	xt, w, lt := x.Tensor(), weight.Tensor(), labels.Tensor()
	if xt.Rank() != 2 || w.Rank() != 2 || w.Dim(1) != xt.Dim(1) {
		tensor.Panicf(op, "x is %s, weight %s: want [rows, dim] and [vocab, dim]", xt, w)
	}
	if lt.DType() != tensor.I32 || !lt.HasShape(xt.Dim(0)) {
		tensor.Panicf(op, "labels are %s for x %s: want i32 [%d]", lt, xt, xt.Dim(0))
	}
	if l.beside != nil {
		if u, up := l.beside[0].Tensor(), l.beside[1].Tensor(); u.Dim(0) != xt.Dim(0) || up.Dim(0) != w.Dim(0) {
			tensor.Panicf(op, "u is %s, up %s beside x %s and weight %s: want as many rows", u, up, xt, w)
		}
	}
	return append([]*Var{x, weight, labels}, l.beside...)
}

// logitProduct is one of the products x weightᵀ whose sum is the logits: where among the operation's inputs its
// two factors are.
type logitProduct struct{ x, w int }

// products are those among so many inputs.
func products(inputs int) []logitProduct {
	if inputs > 3 {
		return []logitProduct{{0, 1}, {3, 4}}
	}
	return []logitProduct{{0, 1}}
}

// logitChunk is the logits of rows [lo, hi), f32 whatever the activations are, which all chunks
// hold in the same memory.
type logitChunk struct {
	d      *tensor.Device
	lo, hi int
	logits *tensor.Tensor // [hi - lo, vocab]
	// With a soft cap, tanh(x / bound) of what it bounds, and memory for gradients; else nil.
	bent, spare *tensor.Tensor
}

// each calls f with every chunk of the logits of an operation's inputs.
func (l logitChunks) each(d *tensor.Device, in []*tensor.Tensor, f func(c logitChunk)) {
	stat := autograd.StatType(in[0].DType())
	rows, vocab := in[0].Dim(0), in[1].Dim(0)
	pieces := 1 // of memory as large as the logits
	if l.softCap != 0 {
		pieces = 3
	}
	size := min(rows, max(1, l.bytes/(4*vocab*pieces)))
	if size == 0 {
		return
	}
	if size < rows && size > wholeTiles {
		size -= size % wholeTiles
	}
	memory := make([]*tensor.Tensor, pieces)
	for i := range memory {
		memory[i] = d.New(stat, size, vocab)
	}
	for lo := 0; lo < rows; lo += size {
		c := logitChunk{d: d, lo: lo, hi: min(lo+size, rows)}
		for i, part := range []**tensor.Tensor{&c.logits, &c.bent, &c.spare}[:pieces] {
			*part = memory[i].View(0, c.rows(), vocab)
		}
		for i, p := range products(len(in)) {
			x, w := in[p.x], in[p.w]
			d.Run(kernels.Matmul{Batch: 1, M: c.rows(), N: vocab, K: x.Dim(1), TransB: true, Acc: i > 0}, c.logits, c.of(x),
				w, nil)
		}
		if l.softCap != 0 {
			n := c.logits.Numel()
			d.Run(kernels.Scale{N: n, Alpha: 1 / l.softCap}, c.spare, c.logits)
			d.Run(kernels.Unary{N: n, Func: kernels.FuncTanh}, c.bent, c.spare)
			d.Run(kernels.Scale{N: n, Alpha: l.softCap}, c.logits, c.bent)
		}
		f(c)
	}
	for _, m := range memory {
		m.Free("a chunk of logits, used up")
	}
}

func (c logitChunk) rows() int { return c.hi - c.lo }

// of is the chunk's rows of t.
func (c logitChunk) of(t *tensor.Tensor) *tensor.Tensor { return rowsOf(t, c.lo, c.hi) }

// losses computes the rows' losses and their log Σ exp(logit).
func (c logitChunk) losses(losses, lse, labels *tensor.Tensor) {
	c.d.Run(kernels.CrossEntropy{Rows: c.rows(), Vocab: c.logits.Dim(1)}, c.of(losses), c.of(lse), c.logits,
		c.of(labels))
}

// grad is the gradient of x weightᵀ: scale times dloss, or times 1 if that is nil, of each row's
// loss. It takes the logits' place, or, with a soft cap, the spare one.
func (c logitChunk) grad(lse, labels *tensor.Tensor, scale float32, dloss *tensor.Tensor) *tensor.Tensor {
	c.d.Run(kernels.CrossEntropyGrad{Rows: c.rows(), Vocab: c.logits.Dim(1), Scale: scale}, c.logits, c.logits,
		c.of(labels), c.of(lse), dloss)
	if c.bent == nil {
		return c.logits
	}
	c.d.Run(kernels.UnaryGrad{N: c.logits.Numel(), Func: kernels.FuncTanh}, c.spare, c.logits, c.bent)
	return c.spare
}

// inputGrad: dx = dlogits w for the chunk's rows.
func (c logitChunk) inputGrad(dx, dlogits, w *tensor.Tensor) {
	c.d.Run(kernels.Matmul{Batch: 1, M: c.rows(), N: w.Dim(1), K: w.Dim(0)}, c.of(dx), dlogits, w, nil)
}

// besideInputs are headInputs, and a change of a rank beside.
func besideInputs(rows, dim, vocab, ignore, rank int) []autograd.Input {
	return append(headInputs(rows, dim, vocab, ignore),
		autograd.Input{Shape: []int{rows, rank}}, autograd.Input{Shape: []int{vocab, rank}, Kind: autograd.Weight})
}

// headInputs are those of examples: x, weight and labels, of which every ignore-th does not count.
func headInputs(rows, dim, vocab, ignore int) []autograd.Input {
	label := func(i int, r *random.Stream) float64 {
		if i%ignore == ignore-1 {
			return IgnoreLabel
		}
		return float64(r.IntN(vocab))
	}
	return []autograd.Input{
		{Shape: []int{rows, dim}},
		{Shape: []int{vocab, dim}, Kind: autograd.Weight},
		{Shape: []int{rows}, Kind: autograd.Index, Value: label},
	}
}
