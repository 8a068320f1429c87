// Package leftovers knows what a process has begun to write and not yet finished, so that one
// that must end at once leaves nothing of it behind.
package leftovers

import (
	"errors"
	"sync"
)

// ErrEnded is the error of whoever would put something in its place after RemoveAll.
var ErrEnded = errors.New("the process is ending: nothing is written any more")

var (
	mu    sync.Mutex
	begun = map[*Leftover]struct{}{}
	ended bool
)

// Leftover is something unfinished.
type Leftover struct{ remove func() }

// Begin notes something unfinished, which remove takes away.
func Begin(remove func()) *Leftover {
	l := &Leftover{remove}
	mu.Lock()
	defer mu.Unlock()
	begun[l] = struct{}{}
	return l
}

// Finish is called before what was begun takes its place, or is taken away by whoever began it.
// After RemoveAll it is ErrEnded.
func (l *Leftover) Finish() error {
	mu.Lock()
	defer mu.Unlock()
	delete(begun, l)
	if ended {
		return ErrEnded
	}
	return nil
}

// RemoveAll takes everything unfinished away, and keeps everything else from being finished.
func RemoveAll() {
	mu.Lock()
	defer mu.Unlock()
	ended = true
	for l := range begun {
		l.remove()
	}
	clear(begun)
}
