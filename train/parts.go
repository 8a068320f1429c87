package train

import (
	"iter"

	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/tensor"
)

// parts are a tensor's elements by process: those of process r begin where those of the one before end, at ends[r-1],
// and go to ends[r].
type parts []int

// equalParts are those of n elements.
func equalParts(n, processes int) parts {
	ends := make(parts, processes)
	for r := range ends {
		ends[r] = n / processes * (r + 1)
	}
	ends[processes-1] = n
	return ends
}

// gradParts gives the gradients of every block and the processes' parts of them: those of the optimizer, where it is
// divided.
func (t *Trainer) gradParts(processes int) iter.Seq2[*tensor.Tensor, parts] {
	return func(yield func(*tensor.Tensor, parts) bool) {
		for grad, ends := range t.Trainable.GradParts() {
			if len(ends) != processes {
				ends = equalParts(grad.Numel(), processes)
			}
			if !yield(grad, ends) {
				return
			}
		}
	}
}

// exchanged is how many numbers of a process's part are on their way at a time.
const exchanged = 1 << 18

// cut is the elements of one process's part that are on their way after so many others of it.
func (p parts) cut(rank, after int) (from, to int) {
	if rank > 0 {
		from = p[rank-1]
	}
	from = min(from+after, p[rank])
	return from, min(from+exchanged, p[rank])
}

// longest is the length of the longest part.
func (p parts) longest() (n int) {
	begin := 0
	for _, end := range p {
		n, begin = max(n, end-begin), end
	}
	return n
}

// every is the processes first, first+step, first+2*step, ….
type every struct{ first, step int }

// elements is the length of all parts of some processes.
func (p parts) elements(of every) (n int) {
	for r := of.first; r < len(p); r += of.step {
		n += p[r]
		if r > 0 {
			n -= p[r-1]
		}
	}
	return n
}

// views are what of some processes' parts of x is on its way after so many elements of each.
func (p parts) views(x *tensor.Tensor, of every, after int) (all []*tensor.Tensor) {
	for r := of.first; r < len(p); r += of.step {
		if from, to := p.cut(r, after); from < to {
			all = append(all, x.View(from, to-from))
		}
	}
	return all
}

// meeting is two processes that give each other numbers while the sum of a gradient is scattered: this one what the
// other goes on with, and the other what this one does.
type meeting struct {
	other      int
	give, take every // whose parts
}

// halvings are the meetings of a power of two of processes, each of which adds what it takes to its own: first with its
// neighbour, of which each takes every second part, then with the one two further, of what both took already, and so
// on, until it has its own part alone. What the k-th meetings add are the sums of the tree's k-th level. Most is passed
// between neighbours, which a launcher puts on one machine.
func halvings(rank, size int) (all []meeting) {
	for bit := 1; bit < size; bit *= 2 {
		other := rank ^ bit
		all = append(all, meeting{other, every{other % (2 * bit), 2 * bit}, every{rank % (2 * bit), 2 * bit}})
	}
	return all
}

// pairings are meetings with every other process, for its part and this one's: what any number of processes can do, and
// what leaves the order of the sum to whoever has all of a part. In each round a process has at most one other to talk
// to: i and j meet in the round (i + j) mod n of an odd n; of an even number the last one meets whoever would meet itself.
func pairings(rank, size int) (all []meeting) {
	for round := range size - 1 | 1 {
		if other := partner(rank, size, round); other != rank {
			all = append(all, meeting{other, every{other, size}, every{rank, size}})
		}
	}
	return all
}

// partner is whom a process of so many meets in a round of pairings; itself: nobody.
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

func isPowerOfTwo(n int) bool { return n&(n-1) == 0 }

// gatherings are the meetings in which processes that have a part each come to have all: those of a sum, backwards.
func gatherings(rank, size int) (all []meeting) {
	way := pairings(rank, size)
	if isPowerOfTwo(size) {
		way = halvings(rank, size)
	}
	for i := len(way) - 1; i >= 0; i-- {
		all = append(all, meeting{way[i].other, way[i].take, way[i].give})
	}
	return all
}

// swap gives another process some tensors, and gets the bytes of as many elements as others have.
func swap(w dist.World, with int, give, take []*tensor.Tensor) ([]byte, error) {
	var data []byte
	for _, x := range give {
		raw, err := x.RawBytes()
		if err != nil {
			return nil, err
		}
		data = append(data, raw...)
	}
	n := 0
	for _, x := range take {
		n += x.Bytes()
	}
	into := make([]byte, n)
	return into, w.Exchange(with, data, into)
}

// setAll fills tensors with data, one after the other.
func setAll(all []*tensor.Tensor, data []byte) {
	for _, x := range all {
		x.SetBytes(data[:x.Bytes()])
		data = data[x.Bytes():]
	}
}

// gatherParts has every process know a tensor of which each has its part.
func gatherParts(w dist.World, x *tensor.Tensor, p parts) error {
	meetings := gatherings(w.Rank(), w.Size())
	for after := 0; after < p.longest(); after += exchanged {
		for _, m := range meetings {
			take := p.views(x, m.take, after)
			data, err := swap(w, m.other, p.views(x, m.give, after), take)
			if err != nil {
				return err
			}
			setAll(take, data)
		}
	}
	return x.Device().Err()
}
