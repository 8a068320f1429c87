package cpu

import (
	"io"
	"time"

	"github.com/agora-ml/agora/internal/tracefile"
	"github.com/agora-ml/agora/tensor"
)

// clock measures kernels, if anybody wants to know.
type clock struct {
	opened time.Time
	w      io.Writer // of Options.Profile, or nil
	trace  tracefile.Trace
	timed  func(tensor.Timing) // of Time, or nil
	calls  int                 // since Time
}

func newClock(profile io.Writer) clock {
	return clock{opened: time.Now(), w: profile, trace: tracefile.Trace{Device: "cpu"}}
}

// Time implements tensor.Timer.
func (b *backend) Time(f func(tensor.Timing)) { b.clock.timed, b.clock.calls = f, 0 }

// off reports whether nobody wants to know.
func (c *clock) off() bool { return c.w == nil && c.timed == nil }

// measure tells how long a kernel runs, and whether by plain loops.
func (c *clock) measure(k tensor.Kernel, run func() (fast bool)) {
	start := time.Since(c.opened)
	form := k.Name()
	if !run() {
		form += " (loops)"
	}
	ran := time.Since(c.opened) - start
	if c.w != nil {
		c.trace.Add(form, start, ran, 0)
	}
	if c.timed != nil {
		c.timed(tensor.Timing{Kernel: k.Name(), Call: c.calls, Form: form, Start: start, Ran: ran})
		c.calls++
	}
}

func (c *clock) close() error {
	if c.w == nil {
		return nil
	}
	return c.trace.Write(c.w)
}
