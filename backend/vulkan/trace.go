package vulkan

import (
	"io"
	"time"

	"github.com/agora-ml/agora/internal/tracefile"
	"github.com/agora-ml/agora/tensor"
)

// stamping is who wants to know how long every command ran.
type stamping struct {
	w     io.Writer // of Options.Profile, or nil
	trace tracefile.Trace
	timed func(tensor.Timing) // of Time, or nil
	start uint64              // ns of the device's clock
}

// stamped names a command: the kernel, "" for others, and what ran.
type stamped struct{ kernel, form string }

// on reports whether anybody does.
func (s *stamping) on() bool { return s.w != nil || s.timed != nil }

// add takes the times in ns before the first command and behind every one. A barrier's
// time is that of what it waits for.
func (s *stamping) add(names []stamped, times []uint64) {
	if s.start == 0 {
		s.start = times[0]
	}
	for i, name := range names {
		from, ran := time.Duration(times[i]-s.start), time.Duration(max(times[i], times[i+1])-times[i])
		if s.w != nil {
			s.trace.Add(name.form, from, ran)
		}
		if s.timed != nil && name.kernel != "" {
			s.timed(tensor.Timing{Kernel: name.kernel, Form: name.form, Start: from, Ran: ran})
		}
	}
}

func (s *stamping) close() error {
	if s.w == nil {
		return nil
	}
	return s.trace.Write(s.w)
}
