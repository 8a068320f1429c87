package vulkan

import (
	"encoding/json"
	"io"
)

// trace collects the time of every command as a Chrome trace, which chrome://tracing and
// ui.perfetto.dev show.
type trace struct {
	w      io.Writer
	device string
	names  []string // of the commands being recorded
	start  uint64   // ns of the device's clock
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
}

// add takes the times in ns before the first command and behind every one. A barrier's
// time is that of what it waits for.
func (t *trace) add(names []string, times []uint64) {
	if t.start == 0 {
		t.start = times[0]
	}
	for i, name := range names {
		from, to := times[i], max(times[i], times[i+1])
		t.events = append(t.events, event{name, "X", float64(from-t.start) / 1e3, float64(to-from) / 1e3, 1, 1})
	}
}

func (t *trace) close() error {
	return json.NewEncoder(t.w).Encode(map[string]any{
		"traceEvents": t.events, "displayTimeUnit": "ms", "otherData": map[string]string{"device": t.device},
	})
}
