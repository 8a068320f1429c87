package train

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
)

// rteFolder is a folder of data sets that has 12 examples of rte.
func rteFolder(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "rte"), 0o777); err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for i := range 12 {
		fmt.Fprintf(&rows, `{"premise": "%d", "hypothesis": "%d", "label": "%s"}`+"\n", i, i*i,
			[]string{"entailment", "not_entailment"}[i%2])
	}
	if err := os.WriteFile(filepath.Join(root, "rte", "val.jsonl"), []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return root
}

// Tasks are scored where the held-out loss is measured, and the best weights are those with the best score:
// here the loss falls all the time, and the score is what the last step but few had.
func TestTaskScores(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	root := rteFolder(t)
	scored := filepath.Join(root, "rte", "val.jsonl")
	rows, err := os.ReadFile(scored)
	if err != nil {
		t.Fatal(err)
	}
	c := mixtureRun(t)
	c.MaxTokens, c.Steps, c.EvalEvery, c.SaveEvery = 48, 9, 3, 3
	c.EvalTasks, c.TaskData, c.EvalLimit, c.BestBy, c.FinalWeights = []string{"rte"}, root, 10, "rte", BestWeights
	parts := c
	parts.Out = filepath.Join(t.TempDir(), "run")
	summary, err := Run(t.Context(), d, c, watcher{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	records, err := ReadMetrics(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	best, step, measured := -1.0, 0, 0
	for _, r := range records {
		score, ok := r.Scores["rte"]
		if ok != (r.Kind == KindMeasurement) || score < 0 || score > 1 {
			t.Errorf("%s %d: scores %v", r.Kind, r.Step, r.Scores)
		}
		if ok {
			measured++
		}
		if ok && r.Step > 0 && score > best {
			best, step = score, r.Step
		}
	}
	if measured != 4 || summary.Best == nil || summary.Best.Step != step || summary.Best.Scores["rte"] != best {
		t.Errorf("%d measurements, best %+v; want 4, and %v at step %d", measured, summary.Best, best, step)
	}
	interruptedAfter(t, d, parts, 4)
	if err := os.WriteFile(scored, append(rows, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), d, parts, watcher{}, Options{}); err == nil ||
		!strings.Contains(err.Error(), "--task-data") {
		t.Errorf("with other rows to be scored: %v", err)
	}
	if err := os.WriteFile(scored, rows, 0o666); err != nil {
		t.Fatal(err)
	}
	again, err := Resume(t.Context(), d, parts, watcher{}, Options{})
	if err != nil || !reflect.DeepEqual(again.Best, summary.Best) {
		t.Errorf("resumed: best %+v, %v; want %+v", again.Best, err, summary.Best)
	}
}

func TestJudged(t *testing.T) {
	c := Defaults()
	c.EvalTasks = []string{"rte", "wic"}
	b := bestResult{HeldOutLoss: 2, Scores: map[string]float64{"rte": 0.5, "wic": 0.75}}
	for by, want := range map[string]float64{BestByHeldOut: 2, BestByTasks: -0.625, "wic": -0.75} {
		c.BestBy = by
		if got := c.judged(b); got != want {
			t.Errorf("%s: %v, want %v", by, got, want)
		}
	}
}
