package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Record is one line of metrics.jsonl: a step, or a measurement of the held-out loss.
type Record struct {
	Step         int      `json:"step"`                    // optimizer steps done
	Loss         *float64 `json:"loss,omitempty"`          // mean nats a counted token of the step, before its update
	HeldOutLoss  *float64 `json:"held_out_loss,omitempty"` // the same over the held-out rows
	LR           float64  `json:"lr,omitempty"`            // learning rate of the step
	GradNorm     float64  `json:"grad_norm,omitempty"`     // before clipping
	Rows         int      `json:"rows,omitempty"`
	Tokens       int      `json:"tokens,omitempty"`  // all tokens of the step, padding apart
	Counted      int      `json:"counted,omitempty"` // tokens in the loss
	TokensPerSec float64  `json:"tokens_per_s,omitempty"`
	Seconds      float64  `json:"seconds"`              // since the run began
	PeakBytes    int      `json:"peak_bytes,omitempty"` // most tensor memory so far
}

// metrics appends Records to a file, a line each, as they come.
type metrics struct {
	file *os.File
	path string
	err  error
}

func openMetrics(path string) (*metrics, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &metrics{file: f, path: path}, nil
}

func (m *metrics) write(r Record) {
	line, err := json.Marshal(r)
	if err == nil {
		_, err = m.file.Write(append(line, '\n'))
	}
	if err != nil && m.err == nil {
		m.err = fmt.Errorf("metrics: writing %s: %w", m.path, err)
	}
}

func (m *metrics) close() error { return errors.Join(m.err, m.file.Close()) }
