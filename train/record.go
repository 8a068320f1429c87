package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
)

// The kinds of records.
const (
	KindStep        = "step"        // an optimizer step
	KindMeasurement = "measurement" // of the held-out loss
	KindChange      = "change"      // what a resumed run has otherwise from the next step on
)

// Record is one line of metrics.jsonl. Every line has every field: those that its kind knows
// nothing of are null, so that no value is mistaken for a missing one.
type Record struct {
	Kind         string   // KindStep, KindMeasurement or KindChange
	Step         int      // steps done
	Loss         *float64 // mean nats a counted token of the step, or the objective's of a row, before its update
	HeldOutLoss  *float64 // the same over the held-out rows
	LR           float64  // learning rate of the step
	GradNorm     float64  // before clipping; none of a skipped step
	LossScale    float64  // of the step, with f16 activations
	Skipped      bool     // the gradient overflowed f16: nothing has moved
	Rows         int
	Tokens       int // all tokens of the step, padding apart
	Counted      int // tokens in the loss
	TokensPerSec float64
	PeakBytes    int // most tensor memory so far

	// Processes are those that made the step; nil: one alone.
	Processes *Processes

	// Tasks are the losses of each task of a mixture: of a step's rows, or of the held-out ones.
	Tasks map[string]TaskLoss

	// Preference is what a step or a measurement of preference training tells beside its loss.
	Preference *PreferenceMetrics

	// Scores are the main scores of Config.EvalTasks, of a measurement.
	Scores map[string]float64

	// ScalingNorms are the norms of the scales s of each adapted layer, every 10 steps.
	ScalingNorms map[string]float64

	// Changed are the rates that a resumed run has from the next step on, OtherBits what was
	// not the same when it went on; see Options.AllowOtherBits.
	Changed   []RateChange
	OtherBits []Deviation

	Seconds float64 // since this process began the run, or went on with it
	Time    float64 // since 1970, in seconds
}

// Processes are what several processes of one run cost it, as process 0 sees it.
type Processes struct {
	Count  int     `json:"count"`
	Waited float64 `json:"waited_s"`   // seconds of the step in which it waited for the others or the network
	Sent   int     `json:"sent_bytes"` // in the step, as dist.Measured counts them
}

// recordLine is a Record as JSON: nil is null.
type recordLine struct {
	Kind         string              `json:"kind"`
	Step         int                 `json:"step"`
	Loss         *float64            `json:"loss"`
	HeldOutLoss  *float64            `json:"held_out_loss"`
	LR           *float64            `json:"lr"`
	GradNorm     *float64            `json:"grad_norm"`
	LossScale    *float64            `json:"loss_scale"`
	Skipped      *bool               `json:"skipped"`
	Rows         *int                `json:"rows"`
	Tokens       *int                `json:"tokens"`
	Counted      *int                `json:"counted"`
	TokensPerSec *float64            `json:"tokens_per_s"`
	PeakBytes    *int                `json:"peak_bytes"`
	Processes    *Processes          `json:"processes"`
	Tasks        map[string]TaskLoss `json:"tasks"`
	Preference   *PreferenceMetrics  `json:"preference"`
	Scores       map[string]float64  `json:"scores"`
	ScalingNorms map[string]float64  `json:"s_norm"`
	Changed      []RateChange        `json:"changed"`
	OtherBits    []Deviation         `json:"other_bits"`
	Seconds      float64             `json:"seconds"`
	Time         float64             `json:"time"`
}

// MarshalJSON writes the record as a line of metrics.jsonl has it.
func (r Record) MarshalJSON() ([]byte, error) {
	l := recordLine{
		Kind: r.kind(), Step: r.Step, Loss: r.Loss, HeldOutLoss: r.HeldOutLoss, Tasks: r.Tasks, Processes: r.Processes,
		Preference: r.Preference, Scores: r.Scores,
		ScalingNorms: r.ScalingNorms, Changed: r.Changed,
		OtherBits: r.OtherBits, Seconds: r.Seconds, Time: r.Time,
	}
	if l.Kind == KindStep {
		l.LR, l.Skipped, l.Rows, l.Tokens, l.Counted = &r.LR, &r.Skipped, &r.Rows, &r.Tokens, &r.Counted
		l.TokensPerSec, l.PeakBytes = &r.TokensPerSec, &r.PeakBytes
		if !r.Skipped {
			l.GradNorm = &r.GradNorm
		}
		if r.LossScale > 0 {
			l.LossScale = &r.LossScale
		}
	}
	return json.Marshal(l)
}

// UnmarshalJSON reads a line of metrics.jsonl.
func (r *Record) UnmarshalJSON(text []byte) error {
	var l recordLine
	err := strictjson.Unmarshal(text, &l)
	*r = l.record()
	return err
}

// record is the line's Record. Earlier versions left out the kind and every 0.
func (l recordLine) record() Record {
	r := Record{
		Kind: l.Kind, Step: l.Step, Loss: l.Loss, HeldOutLoss: l.HeldOutLoss, LR: or0(l.LR), GradNorm: or0(l.GradNorm),
		LossScale: or0(l.LossScale), Skipped: or0(l.Skipped), Rows: or0(l.Rows), Tokens: or0(l.Tokens),
		Counted:      or0(l.Counted),
		TokensPerSec: or0(l.TokensPerSec), PeakBytes: or0(l.PeakBytes), Tasks: l.Tasks, Processes: l.Processes, Preference: l.Preference,
		Scores:       l.Scores,
		ScalingNorms: l.ScalingNorms, Changed: l.Changed, OtherBits: l.OtherBits,
		Seconds: l.Seconds, Time: l.Time,
	}
	r.Kind = r.kind()
	return r
}

func or0[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// kind is Kind, or where it is not told what the record shows.
func (r *Record) kind() string {
	switch {
	case r.Kind != "":
		return r.Kind
	case r.HeldOutLoss != nil:
		return KindMeasurement
	case r.Changed != nil || r.OtherBits != nil:
		return KindChange
	}
	return KindStep
}

// RateChange is a learning rate that has another value since the run was resumed after a step.
type RateChange struct {
	Step    int     `json:"step"`
	Setting string  `json:"setting"`
	From    float64 `json:"from"`
	To      float64 `json:"to"`
}

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
	records, err := parseRecords(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records, nil
}

// parseRecords is readRecords for a file's text; its errors begin with the line.
func parseRecords(f io.Reader) (records []Record, err error) {
	lines := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if err == io.EOF {
			return records, nil // what stands behind the last line's end was cut
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if text[0] != '{' {
			return nil, fmt.Errorf("line %d: want a record: want an object, got %q", n, shortened(string(text)))
		}
		var l recordLine
		if err := strictjson.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d: want a record: %w", n, inLine(err))
		}
		r := l.record()
		switch {
		case r.Step < 0:
			return nil, fmt.Errorf("line %d: field step: want at least 0, got %d", n, r.Step)
		case !slices.Contains([]string{KindStep, KindMeasurement, KindChange}, r.Kind):
			return nil, fmt.Errorf("line %d: field kind: want %s, %s or %s, got %q", n, KindStep, KindMeasurement,
				KindChange,
				shortened(r.Kind))
		}
		records = append(records, r)
	}
}

// inLine is what is wrong in a text of one line, whose number is known.
func inLine(err error) error {
	e, ok := errors.AsType[*strictjson.Error](err)
	if !ok {
		return err
	}
	if e.Field == "" {
		return fmt.Errorf("want %s, got %s", e.Want, e.Got)
	}
	return fmt.Errorf("field %s: want %s, got %s", e.Field, e.Want, e.Got)
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
