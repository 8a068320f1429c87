// Package tracefile writes when kernels ran as a Chrome trace, which chrome://tracing and
// ui.perfetto.dev show.
package tracefile

import (
	"encoding/json"
	"io"
	"time"
)

// Trace is the events of one device.
type Trace struct {
	Device string
	events []event
}

// event is a "complete event" of the Trace Event Format; times are in µs.
type event struct {
	Name     string  `json:"name"`
	Phase    string  `json:"ph"`
	Start    float64 `json:"ts"`
	Duration float64 `json:"dur"`
	Process  int     `json:"pid"`
	Thread   int     `json:"tid"`
	Args     *args   `json:"args,omitempty"`
}

// args are a kernel's.
type args struct {
	Call int `json:"call"`
}

// Add notes that something ran so long, from start after the first on. Call is the number of a kernel's call, from 1 on:
// kernels may run in another order than they are called in. It is 0 of what is no kernel, and where each runs as it is called.
func (t *Trace) Add(name string, start, ran time.Duration, call int) {
	e := event{name, "X", float64(start) / 1e3, float64(ran) / 1e3, 1, 1, nil}
	if call > 0 {
		e.Args = &args{call}
	}
	t.events = append(t.events, e)
}

// Write writes all of it.
func (t *Trace) Write(w io.Writer) error {
	events := t.events
	if events == nil {
		events = []event{}
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"traceEvents": events, "displayTimeUnit": "ms", "otherData": map[string]string{"device": t.Device},
	})
}
