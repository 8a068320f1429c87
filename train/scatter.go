package train

import (
	"slices"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// scatter leaves the sum over all micro-batches of this process's part of everything in the parameters' gradients, added
// in the order of the tree. What these hold beside is of no use.
func (g *gradientSum) scatter() error {
	own := g.ownSpans()
	last := len(own) - 1
	t := g.trainer
	var kept [][]*tensor.Tensor // the blocks of all own spans but the last, which stays where it is
	for i, s := range own {
		if err := g.compute(s); err != nil {
			return err
		}
		if i < last {
			sum := t.spareGradients()
			defer t.giveBack(sum)
			t.Trainable.MoveGrad(sum)
			kept = append(kept, slices.Collect(sum.Blocks()))
		}
	}
	block := 0
	for grad, p := range t.gradParts(g.size) {
		here := map[span]*tensor.Tensor{own[last]: grad}
		for i, blocks := range kept {
			here[own[i]] = blocks[block]
		}
		var err error
		if g.halves() {
			err = g.scatterByHalves(grad, p)
		} else {
			err = g.scatterByPairs(here, own[last], p)
		}
		if err != nil {
			return err
		}
		block++
	}
	return t.Device.Err()
}

// halves reports whether halvings add in the tree's order: then its halves are equal, and every process has one span.
func (g *gradientSum) halves() bool { return isPowerOfTwo(g.all) }

// scatterByHalves is scatter for a block of the gradients, of which each process has the sum of its one span.
func (g *gradientSum) scatterByHalves(grad *tensor.Tensor, p parts) error {
	d := grad.Device()
	for after := 0; after < p.longest(); after += exchanged {
		for _, m := range halvings(g.rank, g.size) {
			take := p.views(grad, m.take, after)
			data, err := swap(g.world, m.other, p.views(grad, m.give, after), take)
			if err != nil {
				return err
			}
			for _, x := range take {
				scope := d.Scope()
				theirs := d.New(tensor.F32, x.Numel())
				theirs.SetBytes(data[:x.Bytes()])
				data = data[x.Bytes():]
				d.Run(kernels.Add{N: x.Numel(), M: x.Numel()}, x, x, theirs)
				scope.Close()
			}
		}
	}
	return nil
}

// scatterByPairs is scatter for a block, of which here has the sums of this process's spans, that of the last in the
// parameters' gradients.
func (g *gradientSum) scatterByPairs(here map[span]*tensor.Tensor, last span, p parts) error {
	for after := 0; after < p.longest(); after += exchanged {
		scope := g.trainer.Device.Scope()
		err := g.scatterPiece(here, last, p, after)
		scope.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *gradientSum) scatterPiece(here map[span]*tensor.Tensor, last span, p parts, after int) error {
	spans := g.spans(span{0, g.all})
	d := g.trainer.Device
	from, to := p.cut(g.rank, after)
	own := map[span]*tensor.Tensor{} // this process's part of all spans
	if from < to {
		for _, s := range spans {
			if here[s] != nil {
				own[s] = here[s].View(from, to-from)
			} else {
				own[s] = d.New(tensor.F32, to-from)
			}
		}
	}
	for _, m := range pairings(g.rank, g.size) {
		var give, take []*tensor.Tensor
		for _, s := range spans {
			if here[s] != nil {
				give = append(give, p.views(here[s], m.give, after)...)
			}
			if g.of(s.from) == m.other && own[s] != nil {
				take = append(take, own[s])
			}
		}
		data, err := swap(g.world, m.other, give, take)
		if err != nil {
			return err
		}
		setAll(take, data)
	}
	if from == to {
		return nil
	}
	if sum := g.add(span{0, g.all}, own); sum != own[last] {
		d.Run(kernels.Cast{N: to - from}, own[last], sum)
	}
	return nil
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
