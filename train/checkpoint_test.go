package train

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/tinymodel"
)

func TestPruneKeepsTheLastOnScheduleAndTheBest(t *testing.T) {
	c := checkpoints{t.TempDir()}
	for _, step := range []int{10, 20, 30, 37, 40, 50, 53} {
		if err := os.Mkdir(c.path(step), 0o777); err != nil {
			t.Fatal(err)
		}
		s := newState()
		s.Step = step
		s.Settings, s.Device, s.Files = map[string]string{"seed": "0"}, map[string]string{"device": "cpu"},
			[]savedFile{{"a", 0, noDigest}}
		if err := s.write(filepath.Join(c.path(step), stateFile)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(c.path(37), stateFile)); err != nil { // somebody's own folder now
		t.Fatal(err)
	}
	for _, other := range []string{"step-7", "notes", ".step-000060.agora-0123abcd.tmp"} { // nobody's checkpoints
		if err := os.Mkdir(filepath.Join(c.dir, other), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.prune(10, 2, 20, 53); err != nil {
		t.Fatal(err)
	}
	if got, err := c.steps(); err != nil || !slices.Equal(got, []int{20, 37, 40, 50, 53}) {
		t.Errorf("left are %v, %v: want the best 20, 37 which is no checkpoint, the last two on schedule, and the newest", got, err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "notes")); err != nil {
		t.Error(err)
	}
}

// A checkpoint's optimizer goes on with the bits of the one it is of.
func TestOptimizerFile(t *testing.T) {
	a, b := newTiny(t, 2, 0.1), newTiny(t, 2, 0.1)
	all := tinymodel.Rows(40, 9)
	step := func(tr tiny, i int) StepResult {
		t.Helper()
		r, err := tr.Step(data.Batches(all[4*i:4*i+4], 2))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for i := range 5 {
		step(a, i)
	}
	path := filepath.Join(t.TempDir(), optimizerFile)
	if err := a.writeOptimizer(path); err != nil {
		t.Fatal(err)
	}
	for name, p := range a.Trainable.Params() {
		values, err := p.Value.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for other, q := range b.Trainable.Params() {
			if other == name {
				q.Value.SetFloat32s(values)
			}
		}
	}
	if err := readOptimizer(path, 5, b.Optimizer); err != nil {
		t.Fatal(err)
	}
	for i := 5; i < 10; i++ {
		if x, y := step(a, i), step(b, i); !reflect.DeepEqual(x, y) {
			t.Fatalf("step %d: %+v, then %+v", i+1, x, y)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), ".A\"", ".Z\"", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := readOptimizer(path, 5, b.Optimizer); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a moment is missing: %v", err)
	}
}

func TestMetricsGoOnAfterACheckpoint(t *testing.T) {
	dir := t.TempDir()
	m, err := openMetrics(dir, 0, -1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	loss := 1.5
	for step := 1; step <= 7; step++ {
		m.write(Record{Step: step, Loss: &loss, Time: float64(step)})
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, MetricsFile)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"step":8,"lo`) // killed here
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if m, err = openMetrics(dir, 5, -1, time.Now()); err != nil {
		t.Fatal(err)
	}
	m.write(Record{Step: 6, HeldOutLoss: &loss})
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	records, err := ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	for _, r := range records {
		steps = append(steps, r.Step)
	}
	if !slices.Equal(steps, []int{1, 2, 3, 4, 5, 6}) || records[5].HeldOutLoss == nil {
		t.Errorf("the records are of the steps %v", steps)
	}
	if events, _ := filepath.Glob(filepath.Join(dir, TensorBoardFolder, "*")); len(events) != 1 {
		t.Errorf("TensorBoard sees the files %v", events)
	}
	if err := os.WriteFile(path, []byte("{\"step\":1}\nnonsense\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMetrics(dir); err == nil || !strings.Contains(err.Error(),
		"metrics.jsonl: line 2: want a record") {
		t.Errorf("nonsense in line 2: %v", err)
	}
}

// A number that is not finite stops the step before anything has moved, and the error
// names the step, the row and the kernel.
func TestNonFiniteStep(t *testing.T) {
	tr := newTiny(t, 2, 0)
	batches := data.Batches(tinymodel.Rows(6, 1), 3)
	for i := range batches {
		for r := range batches[i].Rows {
			batches[i].Sources[r] = []data.Source{{File: "rows.json", Row: 3*i + r + 1}}
			for p := range batches[i].Len() { // the token 90 only in row 5
				if at := r*batches[i].Len() + p; batches[i].IDs[at] == 90 {
					batches[i].IDs[at] = 91
				}
			}
		}
	}
	batches[1].IDs[batches[1].Len()] = 90
	if _, err := tr.Step(batches); err != nil {
		t.Fatal(err)
	}
	embedding := tr.Model.Embedding.Weight.Value
	values, err := embedding.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	values[90*32] = float32(math.Inf(1))
	embedding.SetFloat32s(values)
	before := contents(t, tr)
	_, err = tr.Step(batches)
	bad, ok := errors.AsType[*NonFiniteError](err)
	if !ok {
		t.Fatalf("the step gave %v", err)
	}
	if bad.Step != 2 || !slices.Equal(bad.Rows, []string{"rows.json row 5"}) ||
		!strings.HasPrefix(bad.Kernel, "embedding with model.embed_tokens.weight") {
		t.Errorf("the error is %v", err)
	}
	if after := contents(t, tr); !slices.Equal(after, before) || tr.Optimizer.Steps() != 1 {
		t.Error("the step that failed has changed parameters or optimizer")
	}
}

// contents are all trained numbers, moments and gradients.
func contents(t *testing.T, tr tiny) (all []float64) {
	t.Helper()
	for _, p := range tr.Trainable.Params() {
		p.SettleGrad()
		for _, x := range []interface{ Float64s() ([]float64, error) }{p.Value, p.Grad} {
			values, err := x.Float64s()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, values...)
		}
	}
	for _, x := range tr.Optimizer.State() {
		values, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, values...)
	}
	return all
}

// A disk that was full for a while leaves a cut last record, never one in the middle.
func TestMetricsEndWithAFailedWrite(t *testing.T) {
	dir := t.TempDir()
	m, err := openMetrics(dir, 0, -1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	loss := 1.5
	m.write(Record{Step: 1, Loss: &loss})
	whole := m.file
	if m.file, err = os.Open(whole.Name()); err != nil { // not for writing
		t.Fatal(err)
	}
	if err := (&run{metrics: m, progress: watcher{}, now: time.Now}).record(Record{Step: 2, Loss: &loss}); err == nil {
		t.Error("a run does not notice")
	}
	_ = m.file.Close()
	m.file = whole
	m.write(Record{Step: 3, Loss: &loss})
	if err := m.sync(); err == nil || !strings.Contains(err.Error(), "metrics: ") {
		t.Errorf("a failed write gives %v", err)
	}
	_ = m.close()
	if records, err := ReadMetrics(dir); err != nil || len(records) != 1 {
		t.Errorf("%d records, %v: want the one before the failed write", len(records), err)
	}
}
