package train

import (
	"math/bits"
	"slices"

	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// gradientSum adds up the gradients of a step's micro-batches, of which every process computes a part.
//
// Sums of floating-point numbers depend on their order. So the order is that of a tree over the micro-batches which
// does not know of processes: each of its nodes is the sum of two spans, the first of which is the largest power of
// two below the whole. A process adds up the spans that are all its own. Of the spans above them it adds one part of the
// numbers, for which the others give it theirs (scatter); then all have all parts (gatherParts).
//
// Where everything trains, sums beside the gradient would need as much memory as the model. There a process adds its
// micro-batches one after the other, the tree is one over processes, and their number changes the last bits; unless they
// divide the optimizer (Config.Shard): then the sum is the first tree's, and each process has that of its part.
type gradientSum struct {
	trainer *Trainer
	world   dist.World
	share
	leaf func(i int) error // adds micro-batch i to the parameters' gradients, which are zero
}

// span is micro-batches from one to before another.
type span struct{ from, to int }

func (s span) halves() (first, second span) {
	n := s.to - s.from
	half := 1 << (bits.Len(uint(n-1)) - 1)
	return span{s.from, s.from + half}, span{s.from + half, s.to}
}

// share is which micro-batches of a step each process computes: spans of one length.
type share struct{ rank, size, all int }

func (s share) each() int         { return s.all / s.size }
func (s share) of(batch int) int  { return batch / s.each() }
func (s share) isOne(x span) bool { return s.of(x.from) == s.of(x.to-1) }
func (s share) isOwn(x span) bool { return s.isOne(x) && s.of(x.from) == s.rank }

// spans are the largest within x that are all of one process, in the tree's order.
func (s share) spans(x span) []span {
	if s.isOne(x) {
		return []span{x}
	}
	first, second := x.halves()
	return append(s.spans(first), s.spans(second)...)
}

// ownSpans are the largest that are all of this process.
func (s share) ownSpans() []span {
	return slices.DeleteFunc(s.spans(span{0, s.all}), func(x span) bool { return !s.isOwn(x) })
}

// sum leaves the sum over all micro-batches in the parameters' gradients: of every process, or where they divide the
// optimizer of this one's part of everything, and what the gradients hold beside is of no use then.
func (g *gradientSum) sum() error {
	if g.size == 1 {
		return g.compute(span{0, g.all})
	}
	if err := g.scatter(); err != nil || g.trainer.divided {
		return err
	}
	for grad, ends := range g.trainer.gradParts(g.size) {
		if err := gatherParts(g.world, grad, ends); err != nil {
			return err
		}
	}
	return nil
}

// compute leaves the sum of a span of this process in the parameters' gradients.
func (g *gradientSum) compute(s span) error {
	if s.to-s.from == 1 {
		return g.leaf(s.from)
	}
	first, second := s.halves()
	if err := g.compute(first); err != nil {
		return err
	}
	sum := g.trainer.spareGradients()
	defer g.trainer.giveBack(sum)
	g.trainer.Trainable.MoveGrad(sum)
	if err := g.compute(second); err != nil {
		return err
	}
	g.trainer.Trainable.AddGrad(sum)
	return nil
}

// spareGradients gives room for a sum, which giveBack takes back.
func (t *Trainer) spareGradients() *optim.Gradients {
	if n := len(t.spare); n > 0 {
		g := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return g
	}
	return t.Trainable.NewGradients()
}

func (t *Trainer) giveBack(g *optim.Gradients) { t.spare = append(t.spare, g) }

// reserve makes room for the sums that this process's part of a step keeps beside the parameters' gradients.
func (t *Trainer) reserve(g *gradientSum) {
	if t.inSequence {
		return
	}
	for i, s := range g.ownSpans() {
		for n := i + bits.Len(uint(s.to-s.from)) - 1; len(t.spare) < n; {
			t.giveBack(t.Trainable.NewGradients())
		}
	}
}

// processes are those that make the steps.
func (t *Trainer) processes() dist.World {
	if t.World == nil {
		return dist.Alone()
	}
	return t.World
}

// newSum is that of so many micro-batches, of which one of several processes computes its share.
func (t *Trainer) newSum(rank, processes, batches int) *gradientSum {
	g := &gradientSum{trainer: t, share: share{rank, processes, batches}}
	if t.inSequence {
		g.all = processes
	}
	return g
}

// addUp leaves the sum of the gradients of so many micro-batches in the parameters', where leaf adds one's.
func (t *Trainer) addUp(batches int, leaf func(i int) error) error {
	w := t.processes()
	if batches%w.Size() != 0 {
		tensor.Panicf("train.Step", "want as many micro-batches for each of %d processes, got %d", w.Size(), batches)
	}
	g := t.newSum(w.Rank(), w.Size(), batches)
	g.world, g.leaf = w, leaf
	if t.inSequence {
		each := batches / w.Size()
		g.leaf = func(i int) error {
			for k := range each {
				if err := leaf(i*each + k); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return g.sum()
}
