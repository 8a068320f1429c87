package train

import (
	"slices"

	"github.com/agora-ml/agora/data"
)

// lossesByTask sorts the losses of counted tokens by the task of their sequence. losses are those of
// each batch that has any, in the order of its labels.
func lossesByTask(tasks int, batches []data.Batch, losses [][]float64) []TaskLoss {
	sums := make([]TaskLoss, tasks)
	for _, b := range batches {
		if b.Counted() == 0 {
			continue
		}
		next := 0
		for i, label := range b.Labels {
			if label == data.Ignored {
				continue
			}
			task := b.Tasks[i/b.Len()][b.Segments[i]]
			sums[task].Loss += losses[0][next]
			sums[task].Counted++
			next++
		}
		losses = losses[1:]
	}
	for i := range sums {
		if n := sums[i].Counted; n > 0 {
			sums[i].Loss /= float64(n)
		}
	}
	return sums
}

// named are the losses of tasks by name, of those that have any.
func (r *run) named(losses []TaskLoss) map[string]TaskLoss {
	if losses == nil {
		return nil
	}
	all := map[string]TaskLoss{}
	for i, l := range losses {
		if l.Counted > 0 && finite(l.Loss) {
			all[r.cfg.Data[i].Name] = l
		}
	}
	return all
}

// heldOut are the held-out rows of one task, or of all data without a mixture.
type heldOut struct {
	task    int
	batches []data.Batch
}

// byTask are the sequences of each task that has any.
func byTask(seqs []data.Sequence) (groups [][]data.Sequence) {
	for _, s := range seqs {
		for s.Task >= len(groups) {
			groups = append(groups, nil)
		}
		groups[s.Task] = append(groups[s.Task], s)
	}
	return slices.DeleteFunc(groups, func(g []data.Sequence) bool { return len(g) == 0 })
}
