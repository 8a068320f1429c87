package train

import (
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

	"github.com/agora-ml/agora/encoding/tfevents"
	"github.com/agora-ml/agora/internal/atomicfile"
)

// The files of a run's folder that tell how it went.
const (
	MetricsFile       = "metrics.jsonl" // a Record a line
	TensorBoardFolder = "tensorboard"   // the same as event files
)

// metrics appends Records to metrics.jsonl and to an event file of TensorBoard as they come.
type metrics struct {
	file   *os.File
	events *tfevents.Writer
	err    error // the first
}

// openMetrics begins the metrics of a run's folder after step, now. What a run has recorded that then
// was killed is dropped where its checkpoint does not know of it, and the run tells of it anew: later
// steps, measurements after the last one that it knows, and changes after this step.
func openMetrics(dir string, step, measured int, now time.Time) (*metrics, error) {
	path := filepath.Join(dir, MetricsFile)
	kept, err := readRecords(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	kept = slices.DeleteFunc(kept, func(r Record) bool {
		return r.Step > step || step == 0 || r.Kind == KindMeasurement && r.Step > measured || r.Kind == KindChange &&
			r.Step == step
	})
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
	if m.events, err = openEvents(filepath.Join(dir, TensorBoardFolder), kept, now); err != nil {
		return nil, errors.Join(fmt.Errorf("metrics: %w", err), m.file.Close())
	}
	return m, nil
}

// openEvents makes the one event file of a run anew from its records. Those of other programs
// stay where they are.
func openEvents(dir string, records []Record, start time.Time) (*tfevents.Writer, error) {
	old, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"+tfevents.Suffix))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
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
		if p := r.Processes; p != nil {
			add("processes/waited_seconds", p.Waited)
			add("processes/sent_bytes", float64(p.Sent))
		}
	}
	if r.HeldOutLoss != nil {
		add("loss/held_out", *r.HeldOutLoss)
	}
	for _, task := range slices.Sorted(maps.Keys(r.Tasks)) {
		add(map[bool]string{true: "loss_train/", false: "loss_held_out/"}[r.Loss != nil]+task, r.Tasks[task].Loss)
		if r.Loss != nil {
			add("counted_tokens/"+task, float64(r.Tasks[task].Counted))
		}
	}
	r.Preference.scalars(map[bool]string{true: "preference_train/", false: "preference_held_out/"}[r.Loss != nil], add)
	for _, task := range slices.Sorted(maps.Keys(r.Scores)) {
		add("score/"+task, r.Scores[task])
	}
	for _, layer := range slices.Sorted(maps.Keys(r.ScalingNorms)) {
		add("s_norm/"+layer, r.ScalingNorms[layer])
	}
	return w.Scalars(r.Time, r.Step, scalars...)
}

// write adds a record. After a failed write the files may end within one, so nothing more
// is written: a cut last line can be read, one in the middle cannot.
func (m *metrics) write(r Record) {
	if m.err == nil {
		m.err = m.here()
	}
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

// here returns an error if the folder has gone while the run went on: what is written to its open files
// nobody would ever find.
func (m *metrics) here() error {
	path := m.file.Name()
	if found, err := os.Stat(path); err == nil {
		if open, err := m.file.Stat(); err != nil || os.SameFile(found, open) {
			return err
		}
	}
	return &SettingError{Setting: "out", Err: fmt.Errorf("want the run's folder to stay while it goes on, got %s "+
		"removed or replaced", path)}
}

// sync makes what is written durable, before a checkpoint that stands behind it.
func (m *metrics) sync() error {
	if m.err == nil {
		m.err = m.here()
	}
	return errors.Join(m.err, m.file.Sync())
}

func (m *metrics) close() error { return errors.Join(m.err, m.file.Close(), m.events.Close()) }
