package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/agora-ml/agora/internal/printable"
)

// output is the program's standard output or error. What is written to it is made printable, so
// that no name, text or error of a stranger steers a terminal. It remembers its first error, which
// commands need not look for.
type output struct {
	mu     sync.Mutex
	to     io.Writer
	text   *printable.Writer
	failed func(error) // is told the first error
	err    error       // that, or why nothing may be written any more
}

func newOutput(to io.Writer, failed func(error)) *output {
	return &output{to: to, text: printable.NewWriter(to), failed: failed}
}

func (s *output) Write(p []byte) (int, error) {
	return s.locked(func() (int, error) { return s.text.Write(p) })
}

// unchanged writes to a stream what is printable already but for our own colors and cursor
// movements.
type unchanged struct{ *output }

func (u unchanged) Write(p []byte) (int, error) {
	return u.locked(func() (int, error) {
		if err := u.text.Flush(); err != nil {
			return 0, err
		}
		return u.to.Write(p)
	})
}

func (s *output) locked(write func() (int, error)) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	n, err := write()
	if err != nil {
		s.err = err
		s.failed(err)
	}
	return n, err
}

// end writes what is left and gives the first error; nothing is written from then on. It does not
// wait for a write that is stuck.
func (s *output) end(why error) error {
	if !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	if s.err == nil {
		if s.err = s.text.Flush(); s.err != nil {
			s.failed(s.err)
		}
	}
	first := s.err
	if s.err == nil {
		s.err = why
	}
	return first
}

// ourOwn is a stream for what has colors of ours, or moves the cursor, and is printable apart
// from that.
func ourOwn(w io.Writer) io.Writer {
	if s, ok := w.(*output); ok {
		return unchanged{s}
	}
	return w
}

// forText is a stream for what a model says: a file or a program gets its bytes, a terminal what
// is printable of them.
func forText(w io.Writer) io.Writer {
	if isTerminal(w) {
		return w
	}
	return ourOwn(w)
}

// fileOf is the file behind a stream, nil where there is none.
func fileOf(w any) *os.File {
	switch w := w.(type) {
	case *os.File:
		return w
	case *output:
		return fileOf(w.to)
	case unchanged:
		return fileOf(w.to)
	}
	return nil
}

// isTerminal reports whether a person sits at the stream.
func isTerminal(stream any) bool {
	f := fileOf(stream)
	return f != nil && term.IsTerminal(int(f.Fd()))
}
