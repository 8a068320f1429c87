package train

import (
	"io"
	"maps"
	"slices"

	"github.com/agora-ml/agora/dist"
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
		return gatherParts(w, x, ends)
	}}
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
