package compare

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/multilora"
)

// withAdapters is tiny with rows that begin with adapters of single tasks.
func withAdapters(t *testing.T) Experiment {
	t.Helper()
	return parsed(t, `name: adapters
base: {generated: sums, steps: 6, lr: 3e-3, seeds: [1, 2]}
train: {steps: [4, 8], warmup: 1, batch-rows: 4, curve-every: 3, validation-rows: 2, test-rows: 3}
seeds: {tune: [11, 12, 13], score: [1, 2, 3], fewer: 2, rounds: 1}
methods:
  - {name: merged, method: merged, from: alone, merge: cat, weights: [0.25, 0.5]}
  - {name: scales, method: scales, from: alone, lr: [1e-2, 2e-2]}
  - {name: together, method: lora, rank: 2, lr: [1e-3, 2e-3]}
  - {name: alone, method: lora, rank: 2, alone: 2, lr: [1e-3, 2e-3]}
  - {name: trimmed, method: merged, from: alone, merge: ties, density: 0.5, weights: [1, 2]}
pairs: [[alone, together], [scales, alone]]
speed: {rounds: 2, steps: 1}
`)
}

func TestRowsOfSingleTasks(t *testing.T) {
	e := withAdapters(t)
	dir := filepath.Join(t.TempDir(), "whole")
	plan, err := MakePlan(t.Context(), e, dir, options(2))
	if err != nil {
		t.Fatal(err)
	}
	// Four rows of a run each, and one of a run for each of four tasks.
	if plan.Tuning != 2*8*2*3 || plan.Scored != 2*8*2 || plan.Missing.Runs() != plan.Runs() {
		t.Errorf("plan %+v", plan)
	}
	r, err := Run(t.Context(), e, dir, options(2))
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := MakePlan(t.Context(), e, dir, options(2)); err != nil || plan.Missing.Runs() != 0 {
		t.Errorf("afterwards the plan is %+v, %v", plan, err)
	}
	for _, rate := range r.Rates {
		if n := len(r.Rates[0].Tries); rate.Steps == 4 && len(rate.Tries) != n {
			t.Errorf("%s has %d tries, %s %d", rate.Method, len(rate.Tries), r.Rates[0].Method, n)
		}
	}
	if len(r.Speed) != 1 || r.Speed[0].Method != "together" {
		t.Errorf("the steps of %+v were measured", r.Speed)
	}
	row := map[string]Row{}
	for _, w := range r.Table {
		if w.Steps == 8 {
			row[w.Method] = w
		}
		if len(w.Seeds) != 2 || len(w.Tasks) != 4 || w.Mean.Loss.N != 2 || w.Mean.Loss.Mean <= 0 {
			t.Errorf("row %+v", w)
		}
	}
	// 3 layers of 7 linear layers have a scaling for each of 4 tasks.
	one := row["together"].Trained
	if row["alone"].Trained != 4*one || row["merged"].Trained != 0 || row["scales"].Trained != 3*7*4 {
		t.Errorf("together trains %d numbers, alone %d, merged %d, scales %d",
			one, row["alone"].Trained, row["merged"].Trained, row["scales"].Trained)
	}
	for _, run := range r.Runs {
		if last := run.Curve[len(run.Curve)-1]; last.Step != run.Trial.Steps || last.Validation != run.Validation {
			t.Errorf("%s: curve %+v", run.Method, run.Curve)
		}
		if run.Change.Random != 0 {
			t.Errorf("%s: the random start has a share of %g", run.Method, run.Change.Random)
		}
		for i, name := range r.tasks() {
			if run.Scores[i].Task != name {
				t.Errorf("%s: score %d is of %s, want %s", run.Method, i, run.Scores[i].Task, name)
			}
		}
	}
	checkAlone(t, &e, dir, r)
	checkEnded(t, e, bits(t, r))
}

// The scores of adapters that learned a task each are what their files do beside the base.
func checkAlone(t *testing.T, e *Experiment, dir string, r *Results) {
	t.Helper()
	x := &runner{experiment: e, options: options(1), store: store{dir}}
	var err error
	if x.material, err = e.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Runs, func(s ScoredRun) bool { return s.Method == "alone" })
	run := r.Runs[i]
	for k, path := range e.adapters(x.store, run.Trial) {
		d, err := device.Open("cpu")
		if err != nil {
			t.Fatal(err)
		}
		model, err := x.store.open(t.Context(), d, run.Trial.Base)
		if err != nil {
			t.Fatal(err)
		}
		before, err := x.material.tasks[k].write(t.Context(), eval.Subject{Model: model, Tokenizer: x.material.tok}, 128)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := multilora.Load(model, path, multilora.Options{}); err != nil {
			t.Fatal(err)
		}
		after, err := x.material.tasks[k].write(t.Context(), eval.Subject{Model: model, Tokenizer: x.material.tok}, 128)
		if err != nil {
			t.Fatal(err)
		}
		if after != run.Scores[k] || after.Loss == before.Loss {
			t.Errorf("task %d: %s scores %+v, the row %+v, the base %+v", k, path, after, run.Scores[k], before)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Ended twice on its way, the experiment comes to the same bits.
func checkEnded(t *testing.T, e Experiment, want string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "parts")
	for _, runs := range []int{20, 90} {
		ctx, cancel := context.WithCancel(t.Context())
		o := options(2)
		o.Progress = &stopAfter{runs: runs, cancel: cancel}
		if _, err := Run(ctx, e, dir, o); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d runs: got error %v", runs, err)
		}
		cancel()
	}
	r, err := Run(t.Context(), e, dir, options(1))
	if err != nil {
		t.Fatal(err)
	}
	if got := bits(t, r); got != want {
		t.Errorf("ended twice the results are\n%s\nwhole\n%s", got, want)
	}
}

// A run that diverged takes the rows that begin with its adapter with it.
func TestRowsOfDivergedAdapters(t *testing.T) {
	e := withAdapters(t)
	x := partRunner(t, &e)
	if err := os.Mkdir(filepath.Join(x.store.dir, runsFolder), 0o777); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	for _, name := range []string{"merged", "scales"} {
		m, _ := e.method(name)
		trial := e.trial(m, 1, rates{"alone": 1e30}, 4, 0, 1, true)
		made, err := x.trials(t.Context(), []Trial{*trial.From})
		if err != nil {
			t.Fatal(err)
		}
		if !made[0].Diverged {
			t.Fatal("a rate of 1e30 did not diverge")
		}
		if made, err = x.trials(t.Context(), []Trial{trial}); err != nil || !made[0].Diverged {
			t.Errorf("%s: got %+v, %v", name, made, err)
		}
	}
}
