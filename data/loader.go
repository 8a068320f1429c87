package data

import (
	"errors"
	"fmt"
	"sync"
)

// LoaderOptions say how sequences become batches.
type LoaderOptions struct {
	Rows    int    // of a batch
	Pack    int    // tokens of a row that holds as many sequences as fit; 0: one sequence a row
	Seed    uint64 // of the order
	Workers int    // goroutines that make batches; 0: one
	First   int    // number of the first batch: a resumed run passes how many it has had
	// Mixture is how often rows of each task are drawn; nil: every row once an epoch.
	Mixture *Mixture
}

// maxPack is more tokens than a row of any model has: packing keeps a list for each.
const maxPack = 1 << 24

func (o LoaderOptions) check(seqs []Sequence) error {
	if len(seqs) == 0 {
		return errors.New("want rows to train on, got none")
	}
	if o.Rows < 1 || o.Pack < 0 || o.Workers < 0 || o.First < 0 {
		return fmt.Errorf("want batches of at least 1 row, and pack, workers and first of at least 0, got %+v", o)
	}
	if o.Pack > maxPack {
		return fmt.Errorf("want at most %d tokens in a packed row, got %d", maxPack, o.Pack)
	}
	for _, s := range seqs {
		if o.Pack > 0 && s.Tokens() > o.Pack {
			return fmt.Errorf("%s: want at most the %d tokens that a packed row holds, got %d", s.Source, o.Pack,
				s.Tokens())
		}
	}
	if o.Mixture != nil {
		_, err := o.Mixture.divide(seqs)
		return err
	}
	return nil
}

// rowStream is what batches are cut from: rows in an order that goes forward only.
type rowStream interface {
	// batch is the rows of a batch of that many: fewer, or none, where a Mixture has ended.
	// Numbers do not fall from call to call.
	batch(number, rows int) [][]Sequence
}

// stream is the rows that the options ask for, which check has found good.
func (o LoaderOptions) stream(seqs []Sequence) rowStream {
	if o.Mixture == nil {
		return newEpochs(seqs, o.Pack, o.Seed)
	}
	shares, _ := o.Mixture.divide(seqs)
	return &mixed{draws: newDraws(seqs, *o.Mixture, shares, o.Seed), pack: o.Pack}
}

// Loader gives batches without end, made ahead by goroutines. The rows come in epochs:
// each holds every sequence once, in an order that the seed and the epoch decide. A
// batch is the next few rows of that stream, full also where one epoch ends and the next
// begins. So a batch is a function of the sequences, Rows, Pack, Seed and its number
// alone, and 8 batches of 1 row are the rows of 1 batch of 8. With a Mixture the stream is
// its draws, and it ends where every task has been drawn as often as it may.
type Loader struct {
	batches []chan Batch // of each worker: they make them in turn
	next    int          // whose batch Next takes
	stop    chan struct{}
	close   sync.Once
	done    sync.WaitGroup
}

// ahead is how many batches of each worker wait for Next.
const ahead = 2

// NewLoader starts a goroutine that chooses rows, and those that make batches of them.
func NewLoader(seqs []Sequence, o LoaderOptions) (*Loader, error) {
	if err := o.check(seqs); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	l := &Loader{stop: make(chan struct{})}
	deal := make([]chan [][]Sequence, max(o.Workers, 1))
	for w := range deal {
		deal[w] = make(chan [][]Sequence)
		made := make(chan Batch, ahead)
		l.batches = append(l.batches, made)
		l.done.Go(func() {
			defer close(made)
			for rows := range deal[w] {
				select {
				case made <- collate(rows, o.Pack):
				case <-l.stop:
					return
				}
			}
		})
	}
	l.done.Go(func() {
		defer func() {
			for _, d := range deal {
				close(d)
			}
		}()
		all := o.stream(seqs)
		for number := o.First; ; number++ {
			rows := all.batch(number, o.Rows)
			if len(rows) == 0 {
				return
			}
			select {
			case deal[(number-o.First)%len(deal)] <- rows:
			case <-l.stop:
				return
			}
		}
	})
	return l, nil
}

// Next is the next batch; one without rows after Close, and after the end of a Mixture. It is for one goroutine at a
// time.
func (l *Loader) Next() Batch {
	select {
	case <-l.stop:
		return Batch{}
	default:
	}
	select {
	case b := <-l.batches[l.next]:
		l.next = (l.next + 1) % len(l.batches)
		return b
	case <-l.stop:
		return Batch{}
	}
}

// Close ends the goroutines and waits for them. It may be called more than once.
func (l *Loader) Close() {
	l.close.Do(func() { close(l.stop) })
	l.done.Wait()
}
