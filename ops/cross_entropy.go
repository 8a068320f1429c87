package ops

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// IgnoreLabel marks a row that does not count in CrossEntropy.
const IgnoreLabel = -100

// CrossEntropy is the sum over the rows of -log softmax(logits)[label], divided by
// counted: one number of shape [], in f32. logits are [..., vocab], labels i32 [...].
// Rows labeled IgnoreLabel add nothing; any other label outside the vocabulary
// gives NaN.
//
// counted is the number of rows that count, over all the micro-batches of a step,
// so that their losses and gradients simply add up. Labels are taken as they are:
// row i's label is what row i shall predict, so for a language model they are
// shifted already.
func CrossEntropy(logits, labels *Var, counted int) *Var {
	x, l := logits.Tensor(), labels.Tensor()
	if x.Rank() < 1 || !l.HasShape(x.Shape()[:x.Rank()-1]...) || l.DType() != tensor.I32 {
		tensor.Panicf("cross_entropy", "labels %s for logits %s: want i32 of the shape without the last dimension", l,
			x)
	}
	if counted < 1 {
		tensor.Panicf("cross_entropy", "%d counted rows: want at least 1", counted)
	}
	return apply(crossEntropy{1 / float32(counted)}, logits, labels)
}

type crossEntropy struct{ scale float32 }

func (c crossEntropy) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	logits, labels := f.In[0], f.In[1]
	stat := autograd.StatType(logits.DType())
	rows := labels.Numel()
	losses, lse, loss := f.New(stat, rows), f.New(stat, rows), f.New(stat)
	f.Run(kernels.CrossEntropy{Rows: rows, Vocab: logits.Dim(-1)}, losses, lse, logits, labels)
	f.Run(kernels.Sum{Outer: 1, N: rows, Inner: 1, Scale: c.scale}, loss, losses)
	if !f.AnyNeeds() {
		return one(loss), nil
	}
	return one(loss), one(lse)
}

func (c crossEntropy) Backward(b *autograd.Backward) {
	logits, labels, lse := b.In[0], b.In[1], b.Saved[0]
	k := kernels.CrossEntropyGrad{Rows: labels.Numel(), Vocab: logits.Dim(-1), Scale: c.scale}
	b.Run(k, b.Grad(0), logits, labels, lse, b.DOut[0])
}

func (c crossEntropy) Examples() []autograd.Example {
	tile := tileSize("cross_entropy", "group")
	examples := []autograd.Example{
		c.example("every third ignored", 7, 19, 3),
		c.example("all ignored", 3, 5, 1),
	}
	for _, n := range edges(tile) {
		vocab := c.example(fmt.Sprintf("%d classes", n), 5, n, 4)
		rows := c.example(fmt.Sprintf("%d rows", n), n, 5, 7)
		vocab.Brief, rows.Brief = true, true
		examples = append(examples, vocab, rows)
	}
	large := c.example("large", 512, 32000, 3)
	large.Large = true
	return append(examples, large)
}

// RandomExample draws the number of rows and classes.
func (c crossEntropy) RandomExample(r *random.Stream) autograd.Example {
	rows, vocab := 1+r.IntN(40), 1+r.IntN(400)
	return c.example(fmt.Sprintf("random %d x %d", rows, vocab), rows, vocab, 1+r.IntN(5))
}

// example ignores every row whose number is a multiple of ignore.
func (crossEntropy) example(name string, rows, vocab, ignore int) autograd.Example {
	label := func(i int, r *random.Stream) float64 {
		if i%ignore == 0 {
			return IgnoreLabel
		}
		return float64(r.IntN(vocab))
	}
	return autograd.Example{
		Name: name,
		In:   []autograd.Input{{Shape: []int{rows, vocab}}, {Shape: []int{rows}, Kind: autograd.Index, Value: label}},
		Call: call(func(in []*Var) *Var { return CrossEntropy(in[0], in[1], max(1, rows-(rows+ignore-1)/ignore)) }),
	}
}

// edges are the sizes around which kernels with these tiles go wrong: 1, each tile
// and its neighbors, and a prime above them all or nearly so.
func edges(tiles ...int) []int {
	sizes := []int{1, 37}
	for _, t := range tiles {
		sizes = append(sizes, max(1, t-1), t, t+1)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// tileSize is a kernel's default tile size of that name, from its shader's header.
func tileSize(kernel, name string) int {
	d, ok := shaders.Find(kernel)
	if i := slices.Index(d.TileNames, name); ok && i >= 0 {
		return int(d.Tiles[0][i])
	}
	panic(fmt.Sprintf("ops: kernel %s has no tile size %s", kernel, name))
}
