// Package testworld has processes of a dist.World that are goroutines, for tests.
package testworld

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/agora-ml/agora/dist"
)

// ErrEnded is what calls give after one of the processes has failed.
var ErrEnded = errors.New("testworld: another process has failed")

// Run calls do once for every one of n processes, all at the same time, and gives their errors by rank.
func Run(n int, do func(w dist.World) error) []error {
	j := &job{ended: make(chan struct{})}
	for range n * n {
		j.wires = append(j.wires, make(chan []byte))
	}
	errs := make([]error, n)
	var all sync.WaitGroup
	for rank := range n {
		all.Go(func() {
			err := errors.New("testworld: aborted")
			defer func() {
				if errs[rank] = err; err != nil {
					j.end()
				}
			}()
			err = do(world{j, rank, n})
		})
	}
	all.Wait()
	return errs
}

// job is what processes share. wires has one from each process to each: from*n + to.
type job struct {
	wires []chan []byte
	ended chan struct{}
	once  sync.Once
}

func (j *job) end() { j.once.Do(func() { close(j.ended) }) }

type world struct {
	*job
	rank, size int
}

func (w world) Rank() int { return w.rank }
func (w world) Size() int { return w.size }

func (w world) Send(to int, data []byte) error {
	select {
	case w.wires[w.rank*w.size+to] <- slices.Clone(data):
		return nil
	case <-w.ended:
		return ErrEnded
	}
}

func (w world) receive(from int) ([]byte, error) {
	select {
	case data := <-w.wires[from*w.size+w.rank]:
		return data, nil
	case <-w.ended:
		return nil, ErrEnded
	}
}

func (w world) Receive(from int, into []byte) error {
	data, err := w.receive(from)
	if err == nil && len(data) != len(into) {
		err = fmt.Errorf("testworld: want %d bytes from %d, got %d", len(into), from, len(data))
	}
	copy(into, data)
	return err
}

func (w world) Exchange(with int, data, into []byte) error {
	sent := make(chan error, 1)
	go func() { sent <- w.Send(with, data) }()
	return errors.Join(w.Receive(with, into), <-sent)
}

func (w world) Broadcast(root int, data []byte) error {
	if w.rank != root {
		return w.Receive(root, data)
	}
	for to := range w.size {
		if to != root {
			if err := w.Send(to, data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w world) AllGather(own []byte) ([][]byte, error) {
	all := make([][]byte, w.size)
	for from := range w.size {
		if from == w.rank {
			all[from] = own
			for to := range w.size {
				if to != from {
					if err := w.Send(to, own); err != nil {
						return nil, err
					}
				}
			}
			continue
		}
		var err error
		if all[from], err = w.receive(from); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (w world) Share(all []byte, ends []int) error {
	start := 0
	for r, end := range ends {
		if err := w.Broadcast(r, all[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}

func (w world) Barrier() error {
	_, err := w.AllGather(nil)
	return err
}

func (w world) Abort(int)    { runtime.Goexit() }
func (w world) Close() error { return w.Barrier() }
