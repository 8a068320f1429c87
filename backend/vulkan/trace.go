package vulkan

import (
	"cmp"
	"io"
	"slices"
	"time"

	"github.com/agora-ml/agora/internal/tracefile"
	"github.com/agora-ml/agora/tensor"
)

// stamping is who wants to know how long every command ran.
type stamping struct {
	w     io.Writer // of Options.Profile, or nil
	trace tracefile.Trace
	timed func(tensor.Timing) // of Time, or nil
	asked int                 // calls of Run before Time
	calls []tensor.Timing     // of the submission at hand; its memory is kept
	start uint64              // ns of the device's clock
}

// stamped names a command: the kernel, "" for others, and what ran; of a kernel which of the calls of Run it is, from 1 on.
type stamped struct {
	kernel, form string
	call         int
}

// on reports whether anybody does.
func (s *stamping) on() bool { return s.w != nil || s.timed != nil }

// add takes the times in ns before the first command and behind every one. A barrier's
// time is that of what it waits for. Commands have been reordered; who counts kernels is told of them as they were called.
func (s *stamping) add(names []stamped, times []uint64) {
	if s.start == 0 {
		s.start = times[0]
	}
	s.calls = s.calls[:0]
	for i, name := range names {
		from, ran := time.Duration(times[i]-s.start), time.Duration(max(times[i], times[i+1])-times[i])
		if s.w != nil {
			s.trace.Add(name.form, from, ran, name.call)
		}
		if s.timed != nil && name.kernel != "" {
			s.calls = append(s.calls,
				tensor.Timing{Kernel: name.kernel, Call: name.call - 1 - s.asked, Form: name.form, Start: from, Ran: ran})
		}
	}
	slices.SortFunc(s.calls, func(a, b tensor.Timing) int { return cmp.Compare(a.Call, b.Call) })
	for _, t := range s.calls {
		s.timed(t)
	}
}

func (s *stamping) close() error {
	if s.w == nil {
		return nil
	}
	return s.trace.Write(s.w)
}
