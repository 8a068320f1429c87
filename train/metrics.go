package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/agora-ml/agora/encoding/atomicfile"
	"github.com/agora-ml/agora/encoding/tfevents"
	"github.com/agora-ml/agora/internal/regular"
)

// The files of a run's folder that tell how it went.
const (
	MetricsFile       = "metrics.jsonl" // a Record a line
	TensorBoardFolder = "tensorboard"   // the same as event files
)

// Record is one line of metrics.jsonl: a step, a measurement of the held-out loss, or a
// change of the learning rate.
type Record struct {
	Step         int      `json:"step"`                    // steps done
	Loss         *float64 `json:"loss,omitempty"`          // mean nats a counted token of the step, before its update
	HeldOutLoss  *float64 `json:"held_out_loss,omitempty"` // the same over the held-out rows
	LR           float64  `json:"lr,omitempty"`            // learning rate of the step
	GradNorm     float64  `json:"grad_norm,omitempty"`     // before clipping; none of a skipped step
	LossScale    float64  `json:"loss_scale,omitempty"`    // of the step, with f16 activations
	Skipped      bool     `json:"skipped,omitempty"`       // the gradient overflowed f16: nothing has moved
	Rows         int      `json:"rows,omitempty"`
	Tokens       int      `json:"tokens,omitempty"`  // all tokens of the step, padding apart
	Counted      int      `json:"counted,omitempty"` // tokens in the loss
	TokensPerSec float64  `json:"tokens_per_s,omitempty"`
	PeakBytes    int      `json:"peak_bytes,omitempty"` // most tensor memory so far

	// ScalingNorms are the norms of the scales s of each adapted layer, every 10 steps.
	ScalingNorms map[string]float64 `json:"s_norm,omitempty"`

	// Changed are the rates that a resumed run has from the next step on.
	Changed []RateChange `json:"changed,omitempty"`

	Seconds float64 `json:"seconds"` // since this process began the run, or went on with it
	Time    float64 `json:"time"`    // since 1970, in seconds
}

// RateChange is a learning rate that has another value since the run was resumed after a step.
type RateChange struct {
	Step    int     `json:"step"`
	Setting string  `json:"setting"`
	From    float64 `json:"from"`
	To      float64 `json:"to"`
}

// metrics appends Records to metrics.jsonl and to an event file of TensorBoard as they come.
type metrics struct {
	file   *os.File
	events *tfevents.Writer
	err    error // the first
}

// openMetrics begins the metrics of a run's folder after step. Records of later steps,
// which a run has left that then was killed, are dropped, and so are changes after this
// one, which the checkpoint may not know of: the run tells of them anew.
func openMetrics(dir string, step int) (*metrics, error) {
	path := filepath.Join(dir, MetricsFile)
	kept, err := readRecords(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	kept = slices.DeleteFunc(kept, func(r Record) bool { return r.Step > step || step == 0 || r.Step == step && r.Changed != nil })
	err = atomicfile.WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		for _, r := range kept {
			if err := e.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	m := &metrics{}
	if m.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if m.events, err = openEvents(filepath.Join(dir, TensorBoardFolder), kept); err != nil {
		return nil, errors.Join(fmt.Errorf("metrics: %w", err), m.file.Close())
	}
	return m, nil
}

// openEvents makes the one event file of a run anew from its records. Those of other programs
// stay where they are.
func openEvents(dir string, records []Record) (*tfevents.Writer, error) {
	old, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"+tfevents.Suffix))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	if len(records) > 0 {
		start = time.Unix(0, int64(records[0].Time*1e9))
	}
	w, err := tfevents.Create(dir, start)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if err := r.event(w); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// event writes a record as curves of TensorBoard.
func (r Record) event(w *tfevents.Writer) error {
	var scalars []tfevents.Scalar
	add := func(tag string, v float64) { scalars = append(scalars, tfevents.Scalar{Tag: tag, Value: float32(v)}) }
	if r.Loss != nil {
		add("loss/train", *r.Loss)
		add("train/learning_rate", r.LR)
		if r.Skipped {
			add("train/skipped", 1)
		} else {
			add("train/gradient_norm", r.GradNorm)
		}
		if r.LossScale > 0 {
			add("train/loss_scale", r.LossScale)
		}
		add("speed/tokens_per_second", r.TokensPerSec)
		add("memory/peak_bytes", float64(r.PeakBytes))
	}
	if r.HeldOutLoss != nil {
		add("loss/held_out", *r.HeldOutLoss)
	}
	for _, layer := range slices.Sorted(maps.Keys(r.ScalingNorms)) {
		add("s_norm/"+layer, r.ScalingNorms[layer])
	}
	return w.Scalars(r.Time, r.Step, scalars...)
}

// write adds a record. After a failed write the files may end within one, so nothing more
// is written: a cut last line can be read, one in the middle cannot.
func (m *metrics) write(r Record) {
	if m.err != nil {
		return
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = m.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = r.event(m.events)
	}
	if err != nil {
		m.err = fmt.Errorf("metrics: %w", err)
	}
}

// sync makes what is written durable, before a checkpoint that stands behind it.
func (m *metrics) sync() error { return errors.Join(m.err, m.file.Sync()) }

func (m *metrics) close() error { return errors.Join(m.err, m.file.Close(), m.events.Close()) }

// ReadMetrics reads the records of a run's folder, or of a metrics.jsonl. A last line
// that a crash has cut is passed over.
func ReadMetrics(path string) ([]Record, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, MetricsFile)
	}
	return readRecords(path)
}

// maxRecord bounds the bytes of a line.
const maxRecord = 4 << 20

func readRecords(path string) ([]Record, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var records []Record
	lines := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if err == io.EOF {
			return records, nil // what stands behind the last line's end was cut
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: line %d: want a record: %w", path, n, err)
		}
		if r.Step < 0 {
			return nil, fmt.Errorf("%s: line %d: field step: want at least 0, got %d", path, n, r.Step)
		}
		records = append(records, r)
	}
}

// readLine reads a line with its end; io.EOF where there is no whole one.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxRecord {
			return nil, fmt.Errorf("want at most %d bytes, got more", maxRecord)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}
