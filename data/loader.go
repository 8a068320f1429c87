package data

import (
	"errors"
	"fmt"
	"sync"

	"github.com/agora-ml/agora/random"
)

// Loader gives batches without end, made ahead by a goroutine of its own. The rows
// come in epochs: each holds every sequence once, in an order that the seed and the
// epoch decide. A batch is the next few rows of that stream, full also where one epoch
// ends and the next begins, so that batch k depends on seed, k and the number of rows
// only, and 8 batches of 1 row are the rows of 1 batch of 8.
type Loader struct {
	batches chan Batch
	stop    chan struct{}
	close   sync.Once
	done    sync.WaitGroup
}

// ahead is how many batches wait for Next.
const ahead = 4

// NewLoader starts at batch number first, from 0: a resumed run passes how many it
// has had.
func NewLoader(seqs []Sequence, rows int, seed uint64, first int) (*Loader, error) {
	if len(seqs) == 0 {
		return nil, errors.New("data: want rows to train on, got none")
	}
	if rows < 1 || first < 0 {
		return nil, fmt.Errorf("data: want batches of at least 1 row from a number of at least 0, got %d rows from %d", rows, first)
	}
	l := &Loader{batches: make(chan Batch, ahead), stop: make(chan struct{})}
	o := order{seed: seed, n: len(seqs), epoch: -1}
	l.done.Go(func() {
		chosen := make([]Sequence, rows)
		for at := first * rows; ; at += rows {
			for i := range chosen {
				chosen[i] = seqs[o.row(at+i)]
			}
			select {
			case l.batches <- Collate(chosen):
			case <-l.stop:
				return
			}
		}
	})
	return l, nil
}

// Next is the next batch; after Close, one without rows.
func (l *Loader) Next() Batch {
	select {
	case <-l.stop:
		return Batch{}
	default:
	}
	select {
	case b := <-l.batches:
		return b
	case <-l.stop:
		return Batch{}
	}
}

// Close ends the goroutine and waits for it. It may be called more than once.
func (l *Loader) Close() {
	l.close.Do(func() { close(l.stop) })
	l.done.Wait()
}

// order is the stream of row numbers, one epoch in memory.
type order struct {
	seed     uint64
	n, epoch int
	perm     []int
}

func (o *order) row(i int) int {
	if epoch := i / o.n; epoch != o.epoch {
		o.epoch = epoch
		o.perm = random.NewStream(o.seed, random.Order, uint32(epoch), 0).Perm(o.n)
	}
	return o.perm[i%o.n]
}
