package train

import (
	"io"
	"maps"
	"slices"

	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// division is how the processes of the run divide the optimizer, with ShardOptimizer: each gets the sum of its part of
// the gradient (gradientSum.scatter), makes its part of the step, and the parts of the parameters go to all.
func (r *run) division() optim.Division {
	if r.cfg.Shard != ShardOptimizer {
		return optim.Division{}
	}
	if r.planned > 0 {
		return optim.Division{Size: r.planned}
	}
	w := r.options.processes()
	return optim.Division{Rank: w.Rank(), Size: w.Size(), Share: func(x *tensor.Tensor, ends []int) error {
		return shareTensor(w, x, ends)
	}}
}

// exchanged is how many numbers of a process are on their way at a time.
const exchanged = 1 << 18

// cut is the elements of one process's part, of those that end at ends, that are on their way after so many others.
func cut(ends []int, rank, after int) (from, to int) {
	if rank > 0 {
		from = ends[rank-1]
	}
	from = min(from+after, ends[rank])
	return from, min(from+exchanged, ends[rank])
}

// longest is the length of the longest part.
func longest(ends []int) (n int) {
	begin := 0
	for _, end := range ends {
		n, begin = max(n, end-begin), end
	}
	return n
}

// shareTensor has every process know a tensor of which each has a part, from where that of the process before ends.
func shareTensor(w dist.World, x *tensor.Tensor, ends []int) error {
	for after := 0; after < longest(ends); after += exchanged {
		var own []byte
		if from, to := cut(ends, w.Rank(), after); from < to {
			var err error
			if own, err = x.View(from, to-from).RawBytes(); err != nil {
				return err
			}
		}
		parts, err := w.AllGather(own)
		if err != nil {
			return err
		}
		for rank, part := range parts {
			if from, to := cut(ends, rank, after); from < to && rank != w.Rank() {
				x.View(from, to-from).SetBytes(part)
			}
		}
	}
	return nil
}

// scatter leaves the sum over all micro-batches of this process's part of everything in the parameters' gradients. What
// these hold beside is of no use. The order of the sum is that of sum's tree.
func (g *gradientSum) scatter() error {
	whole := span{0, g.all}
	if g.size == 1 {
		return g.compute(whole)
	}
	spans := g.spans(whole)
	var own []span
	for _, s := range spans {
		if g.isOwn(s) {
			own = append(own, s)
		}
	}
	t := g.trainer
	for i, s := range own {
		if err := g.compute(s); err != nil {
			return err
		}
		if i < len(own)-1 { // the last stays where it is
			g.kept[s] = t.spareGradients()
			defer t.giveBack(g.kept[s])
			t.Trainable.MoveGrad(g.kept[s])
		}
	}
	kept := map[span][]*tensor.Tensor{} // the blocks of the sums that are here
	for s, sum := range g.kept {
		kept[s] = slices.Collect(sum.Blocks())
	}
	block := 0
	for grad, ends := range t.Trainable.GradParts() {
		here := map[span]*tensor.Tensor{own[len(own)-1]: grad}
		for s, blocks := range kept {
			here[s] = blocks[block]
		}
		if err := g.scatterBlock(grad, ends, spans, here); err != nil {
			return err
		}
		block++
	}
	return nil
}

// scatterBlock is scatter for a block of the gradients, of which here has this process's spans.
func (g *gradientSum) scatterBlock(grad *tensor.Tensor, ends []int, spans []span, here map[span]*tensor.Tensor) error {
	d := grad.Device()
	for after := 0; after < longest(ends); after += exchanged {
		scope := d.Scope()
		all := map[span]*tensor.Tensor{} // this process's part of all spans, as far as it is on its way
		from, to := cut(ends, g.rank, after)
		if from < to {
			for s, x := range here {
				all[s] = x.View(from, to-from)
			}
		}
		err := g.exchange(ends, after, spans, here, func(s span, data []byte) {
			all[s] = d.New(tensor.F32, to-from)
			all[s].SetBytes(data)
		})
		if err == nil && from < to {
			own := grad.View(from, to-from)
			if sum := g.add(span{0, g.all}, all); sum != all[lastOf(here, grad)] {
				d.Run(kernels.Cast{N: to - from}, own, sum)
			}
		}
		scope.Close()
		if err != nil {
			return err
		}
	}
	return d.Err()
}

// lastOf is the span whose sum lies in the parameters' own gradients.
func lastOf(here map[span]*tensor.Tensor, grad *tensor.Tensor) span {
	for s, x := range here {
		if x == grad {
			return s
		}
	}
	panic("train: no span lies in the gradients")
}

// add is the sum of a span, in the memory of its first part.
func (g *gradientSum) add(s span, all map[span]*tensor.Tensor) *tensor.Tensor {
	if g.isOne(s) {
		return all[s]
	}
	first, second := s.halves()
	a, b := g.add(first, all), g.add(second, all)
	n := a.Numel()
	a.Device().Run(kernels.Add{N: n, M: n}, a, a, b)
	return a
}

// exchange gives every other process what this one has of its part, and gets what they have of this one's. In each
// round a process has at most one other to talk to, and all rounds together are all pairs: i and j meet in the round
// (i + j) mod n of an odd n; of an even number the last one meets whoever would meet itself.
func (g *gradientSum) exchange(
	ends []int, after int, spans []span, here map[span]*tensor.Tensor, got func(s span, data []byte),
) error {
	odd := g.size - 1 | 1
	for round := range odd {
		other := partner(g.rank, g.size, round)
		if other == g.rank {
			continue
		}
		for _, sends := range []bool{g.rank < other, g.rank > other} {
			to := other
			if !sends {
				to = g.rank
			}
			from, end := cut(ends, to, after)
			for _, s := range spans {
				if from == end || (g.of(s.from) == g.rank) != sends || !sends && g.of(s.from) != other {
					continue
				}
				if sends {
					raw, err := here[s].View(from, end-from).RawBytes()
					if err == nil {
						err = g.world.Send(other, raw)
					}
					if err != nil {
						return err
					}
					continue
				}
				raw := make([]byte, 4*(end-from))
				if err := g.world.Receive(other, raw); err != nil {
					return err
				}
				got(s, raw)
			}
		}
	}
	return nil
}

// partner is whom a process of so many meets in a round of exchange; itself: nobody.
func partner(rank, size, round int) int {
	odd := size - 1 | 1
	last := size - 1 // of an even number
	if size%2 == 0 && rank == last {
		for i := range last {
			if 2*i%odd == round {
				return i
			}
		}
	}
	other := ((round-rank)%odd + odd) % odd
	if other == rank && size%2 == 0 {
		return last
	}
	return other
}

// writeParts puts out one tensor of the optimizer's state, which process 0 gets from the others (sendState).
func writeParts(out io.Writer, w dist.World, s optim.StatePart) error {
	begin := 0
	for rank, end := range s.Ends {
		for from := begin; from < end; from += exchanged {
			to := min(from+exchanged, end)
			raw := make([]byte, 4*(to-from))
			var err error
			if rank == w.Rank() {
				raw, err = s.Own.View(from-s.From, to-from).RawBytes()
			} else {
				err = w.Receive(rank, raw)
			}
			if err == nil {
				_, err = out.Write(raw)
			}
			if err != nil {
				return err
			}
		}
		begin = end
	}
	return nil
}

// sendState gives process 0, which writes a checkpoint, this process's part of the optimizer's state, in the order in
// which the file has the tensors.
func (t *Trainer) sendState() error {
	w := t.processes()
	if !t.divided || w.Size() == 1 {
		return nil
	}
	parts := maps.Collect(t.Optimizer.StateParts())
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		s := parts[name]
		if s.Own == nil {
			continue
		}
		for at := 0; at < s.Own.Numel(); at += exchanged {
			raw, err := s.Own.View(at, min(exchanged, s.Own.Numel()-at)).RawBytes()
			if err == nil {
				err = w.Send(0, raw)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
