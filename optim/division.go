package optim

import (
	"iter"

	"github.com/agora-ml/agora/tensor"
)

// Division is how processes divide the masters, the moments and the work of a step among them, each having all values
// and gradients: the first stage of ZeRO (Rajbhandari et al., 1910.02054). The zero value divides nothing.
//
// A process has one part of every block. Before ClipByNorm its part of the gradients (Trainable.GradParts) must be that
// of all processes together; the rest does not matter. All of them then make the same calls, and have the bits of one that has
// everything: parts begin where the norm's partial sums do.
type Division struct {
	Rank, Size int // this process's number, and how many they are
	// Share completes a tensor of which every process has a part, process r the elements before ends[r] that no process
	// before it has; nil, as in a plan: nobody is there. What fails becomes the device's error.
	Share func(x *tensor.Tensor, ends []int) error
}

func (d Division) size() int { return max(d.Size, 1) }

// share has the others' parts in x.
func (d Division) share(x *tensor.Tensor, ends []int) {
	if d.size() > 1 && d.Share != nil {
		x.Device().SetErr(d.Share(x, ends))
	}
}

// ends is where each process's part of a block of n elements ends, and of its partial sums.
func (d Division) ends(b *block) (elements, parts []int) {
	for r := range d.size() {
		part := b.parts() * (r + 1) / d.size()
		elements, parts = append(elements, min(part*sumBlock, b.n)), append(parts, part)
	}
	return elements, parts
}

// part is where the part of one process begins and ends.
func part(ends []int, rank int) (from, to int) {
	if rank > 0 {
		from = ends[rank-1]
	}
	return from, ends[rank]
}

// own is the elements of a block's tensor that are this process's; nil if none are.
func (b *block) own(x *tensor.Tensor) *tensor.Tensor {
	switch n := b.to - b.from; {
	case x == nil || n == 0:
		return nil
	case x.Numel() == n:
		return x
	default:
		return x.View(b.from, n)
	}
}

// GradParts gives the gradients of every block, [n] f32, and where each process's part of them ends (see Division), in
// the order of Gradients.Blocks.
func (t *Trainable) GradParts() iter.Seq2[*tensor.Tensor, []int] {
	return func(yield func(*tensor.Tensor, []int) bool) {
		t.settle()
		for _, b := range t.blocks {
			if !yield(b.grad, b.ends) {
				return
			}
		}
	}
}

// StatePart is what processes have of one tensor of an Optimizer's state.
type StatePart struct {
	Shape []int          // of the whole
	Ends  []int          // where each process's part of its elements ends
	From  int            // the first element of Own
	Own   *tensor.Tensor // this process's part, [elements] f32; nil: none
}

// partOf is the part of a tensor [n], of a parameter's shape from an element of its block on, of which own is the
// block's.
func (b *block) partOf(own *tensor.Tensor, e entry) StatePart {
	s := StatePart{Shape: e.param.Value.Shape()}
	n := tensor.Numel(s.Shape)
	for _, end := range b.ends {
		s.Ends = append(s.Ends, min(max(end-e.from, 0), n))
	}
	from, to := max(b.from, e.from), min(b.to, e.from+n)
	if s.From = from - e.from; from < to {
		s.Own = own.View(from-b.from, to-from)
	}
	return s
}
