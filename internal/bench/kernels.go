package bench

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// KernelTime is what a kernel takes of a step.
type KernelTime struct {
	Name         string       `json:"name"`
	Milliseconds float64      `json:"ms"`    // a step
	Share        float64      `json:"share"` // of all of them
	Calls        float64      `json:"calls"` // a step
	TFLOPS       float64      `json:"tflops,omitempty"`
	Shapes       []KernelTime `json:"shapes,omitempty"` // of a product of matrices

	flops float64
}

// call is a kernel that a step has run.
type call struct {
	name  string
	shape string // of a product of matrices, with its types
	flops float64
	took  time.Duration
}

func newCall(k tensor.Kernel, args []*tensor.Tensor) call {
	c := call{name: k.Name()}
	if m, ok := k.(kernels.Matmul); ok {
		layout := []byte("NN")
		if m.TransA {
			layout[0] = 'T'
		}
		if m.TransB {
			layout[1] = 'T'
		}
		c.shape = fmt.Sprintf("%s %d x %d x %d %s*%s to %s", layout, m.M, m.N, m.K, args[1].DType(), args[2].DType(),
			args[0].DType())
		if m.Batch > 1 {
			c.shape = fmt.Sprintf("%s, %d of them", c.shape, m.Batch)
		}
		c.flops = 2 * float64(m.Batch) * float64(m.M) * float64(m.N) * float64(m.K)
	}
	return c
}

// clock takes the time of every kernel of some steps. On a device that counts what it
// does these are the device's timestamps, known once it is closed; elsewhere a kernel runs
// as it is called, and its time is that until the next call.
type clock struct {
	device  *tensor.Device
	counts  func() vulkan.Counts // nil: not a Vulkan device
	profile *bytes.Buffer        // gets its Chrome trace
	calls   []call
	running bool
	since   time.Time // the last call
	asked   int       // kernels before the first step that counts, those that had nothing to do too
	from    int       // commands before it
	to      int       // commands until the end of the last one
}

func newClock(d *tensor.Device, counts func() vulkan.Counts, profile *bytes.Buffer) *clock {
	return &clock{device: d, counts: counts, profile: profile}
}

// commands are those that the device has been given so far, each an event of its trace.
func (c *clock) commands() int {
	n := c.counts()
	return n.Dispatches + n.Barriers + n.Writes + n.Reads
}

// start begins with the steps that count.
func (c *clock) start() {
	c.running = true
	if c.counts != nil {
		c.asked, c.from = c.counts().Calls, c.commands()
	}
	c.device.Trace(func(k tensor.Kernel, args []*tensor.Tensor) {
		if c.running {
			c.lap()
			c.calls = append(c.calls, newCall(k, args))
		}
	})
}

// lap is the end of a kernel.
func (c *clock) lap() {
	now := time.Now()
	if n := len(c.calls); n > 0 && !c.since.IsZero() {
		c.calls[n-1].took = now.Sub(c.since)
	}
	c.since = now
}

// pause is the end of a step, whose results have been read.
func (c *clock) pause() {
	c.lap()
	c.since = time.Time{}
	if c.counts != nil {
		c.to = c.commands()
	}
}

// stop is the end of the steps that count.
func (c *clock) stop() { c.running = false }

// times are what the steps took by kernel, a step, longest first. The device must be closed.
func (c *clock) times(steps int) ([]KernelTime, error) {
	calls := c.calls
	if c.counts != nil {
		var err error
		if calls, err = c.timestamps(); err != nil {
			return nil, err
		}
	}
	total := time.Duration(0)
	for _, k := range calls {
		total += k.took
	}
	byName := grouped(calls, steps, total, func(k call) string { return k.name })
	for i, k := range byName {
		if k.flops > 0 {
			of := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.name != k.Name })
			byName[i].Shapes = grouped(of, steps, total, func(k call) string { return k.shape })
		}
	}
	return byName, nil
}

// timestamps are the calls with the device's times, and beside them barriers and copies,
// which no call asks for.
func (c *clock) timestamps() ([]call, error) {
	type event struct {
		Name     string  `json:"name"`
		Duration float64 `json:"dur"` // µs
		Args     struct {
			Call int `json:"call"` // of a kernel, from 1 on, with those before it that had nothing to do
		} `json:"args"`
	}
	var trace struct {
		Events []event `json:"traceEvents"`
	}
	if err := json.Unmarshal(c.profile.Bytes(), &trace); err != nil {
		return nil, fmt.Errorf("the device's trace: %w", err)
	}
	if len(trace.Events) < c.to {
		return nil, fmt.Errorf("the device's trace: want %d events, got %d: the device has no timestamps", c.to,
			len(trace.Events))
	}
	events := trace.Events[c.from:c.to] // as the device ran them
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.Args.Call, b.Args.Call) })
	var list []call
	for _, e := range events {
		k := call{name: e.Name}
		if i := e.Args.Call - 1 - c.asked; i >= 0 && i < len(c.calls) {
			k = c.calls[i]
			k.name = e.Name // of the alternative that ran
		}
		k.took = time.Duration(e.Duration * 1e3)
		list = append(list, k)
	}
	return list, nil
}

// grouped adds calls up, longest first; of total is their share.
func grouped(calls []call, steps int, total time.Duration, by func(call) string) []KernelTime {
	sums := map[string]*KernelTime{}
	for _, k := range calls {
		name := by(k)
		s := sums[name]
		if s == nil {
			s = &KernelTime{Name: name}
			sums[name] = s
		}
		s.Calls += 1 / float64(steps)
		s.Milliseconds += ms(k.took) / float64(steps)
		s.flops += k.flops / float64(steps)
	}
	var list []KernelTime
	for s := range maps.Values(sums) {
		if s.Milliseconds > 0 {
			s.TFLOPS = s.flops / s.Milliseconds / 1e9
		}
		if total > 0 {
			s.Share = s.Milliseconds * float64(steps) / ms(total)
		}
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b KernelTime) int {
		return cmp.Or(cmp.Compare(b.Milliseconds, a.Milliseconds), cmp.Compare(a.Name, b.Name))
	})
	return list
}
