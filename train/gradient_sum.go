package train

import (
	"math/bits"

	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// gradientSum adds up the gradients of a step's micro-batches, of which every process computes a part.
//
// Sums of floating-point numbers depend on their order. So the order is that of a tree over the micro-batches which
// does not know of processes: each of its nodes is the sum of two spans, the first of which is the largest power of
// two below the whole. A process adds up the spans that are all its own; where a span is of several processes, the
// sum of its second half goes to the one that has its first micro-batch. That process has the sum of all, in the end
// process 0, which tells the others.
//
// Where everything trains, sums beside the gradient would need as much memory as the model. There a process adds its
// micro-batches one after the other, the tree is one over processes, and their number changes the last bits; unless they
// divide the optimizer (Config.Shard): then the sum is the first tree's, and each process has that of its part.
type gradientSum struct {
	trainer *Trainer
	world   dist.World
	share
	leaf func(i int) error // adds micro-batch i to the parameters' gradients, which are zero
	kept map[span]*optim.Gradients
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

// sum leaves the sum over all micro-batches in the parameters' gradients, of every process.
func (g *gradientSum) sum() error {
	whole := span{0, g.all}
	if g.size == 1 {
		return g.compute(whole)
	}
	if err := g.computeOwn(whole); err != nil {
		return err
	}
	if err := g.combine(whole); err != nil {
		return err
	}
	t := g.trainer.Trainable
	all := g.kept[whole]
	if all == nil {
		all = g.trainer.spareGradients()
	}
	defer g.trainer.giveBack(all)
	for b := range all.Blocks() {
		raw, err := b.RawBytes()
		if err != nil {
			return err
		}
		if err := g.world.Broadcast(0, raw); err != nil {
			return err
		}
		if g.rank != 0 {
			b.SetBytes(raw)
		}
	}
	t.SetGrad(all)
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

// computeOwn keeps the sums of the largest spans that are all of this process.
func (g *gradientSum) computeOwn(whole span) error {
	for _, s := range g.spans(whole) {
		if !g.isOwn(s) {
			continue
		}
		if err := g.compute(s); err != nil {
			return err
		}
		g.kept[s] = g.trainer.spareGradients()
		g.trainer.Trainable.MoveGrad(g.kept[s])
	}
	return nil
}

// combine brings the sum of a span of several processes to the one that has its first micro-batch. All processes
// go through the spans in the same order, so that whoever sends is waited for.
func (g *gradientSum) combine(s span) error {
	if g.isOne(s) {
		return nil
	}
	first, second := s.halves()
	if err := g.combine(first); err != nil {
		return err
	}
	if err := g.combine(second); err != nil {
		return err
	}
	to, from, rank := g.of(first.from), g.of(second.from), g.rank
	switch {
	case to != rank && from != rank:
		return nil
	case to != rank:
		defer g.trainer.giveBack(g.kept[second])
		return g.send(to, g.kept[second])
	}
	other := g.kept[second]
	if from != rank {
		other = g.trainer.spareGradients()
		if err := g.receive(from, other); err != nil {
			return err
		}
	}
	g.kept[first].Add(other)
	g.trainer.giveBack(other)
	g.kept[s] = g.kept[first]
	return nil
}

func (g *gradientSum) send(to int, sum *optim.Gradients) error {
	for b := range sum.Blocks() {
		raw, err := b.RawBytes()
		if err != nil {
			return err
		}
		if err := g.world.Send(to, raw); err != nil {
			return err
		}
	}
	return nil
}

func (g *gradientSum) receive(from int, into *optim.Gradients) error {
	for b := range into.Blocks() {
		raw := make([]byte, b.Bytes())
		if err := g.world.Receive(from, raw); err != nil {
			return err
		}
		b.SetBytes(raw)
	}
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

// reserve makes room for the sums that steps of so many micro-batches of this process keep beside the parameters'
// gradients.
func (t *Trainer) reserve(batches int) {
	if t.inSequence {
		return
	}
	for n := bits.Len(uint(batches)) - 1; len(t.spare) < n; {
		t.giveBack(t.Trainable.NewGradients())
	}
}

// processes are those that make the steps.
func (t *Trainer) processes() dist.World {
	if t.World == nil {
		return dist.Alone()
	}
	return t.World
}

// addUp leaves the sum of the gradients of so many micro-batches in the parameters', where leaf adds one's.
func (t *Trainer) addUp(batches int, leaf func(i int) error) error {
	w := t.processes()
	if batches%w.Size() != 0 {
		tensor.Panicf("train.Step", "want as many micro-batches for each of %d processes, got %d", w.Size(), batches)
	}
	g := gradientSum{t, w, share{w.Rank(), w.Size(), batches}, leaf, map[span]*optim.Gradients{}}
	if t.inSequence {
		each := g.each()
		g.all = w.Size()
		g.leaf = func(i int) error {
			for k := range each {
				if err := leaf(i*each + k); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if t.divided {
		return g.scatter()
	}
	return g.sum()
}
