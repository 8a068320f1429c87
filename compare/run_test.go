package compare

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/tensor"
)

// tiny is an experiment of some seconds.
func tiny(t *testing.T) Experiment {
	t.Helper()
	return parsed(t, `name: tiny
base: {generated: sums, steps: 6, lr: 3e-3, seeds: [1, 2]}
train: {steps: [4, 6], warmup: 1, batch-rows: 4, curve-every: 3, validation-rows: 2, test-rows: 3}
seeds: {tune: [11, 12, 13], score: [1, 2, 3], fewer: 2, rounds: 1}
methods:
  - {name: LoRA, method: lora, rank: 4, lr: [1e-3, 2e-3], deciding: true}
  - {name: MultiLoRA 2×2, method: multilora, modules: 2, rank: 2, scale-lr: 10, lora-plus: 2, lr: [1e-3, 2e-3], deciding: true}
  - {name: gain, method: gain, modules: 1, rank: 4, lr: [1e-3, 2e-3]}
  - {name: full, method: full, lr: [1e-3, 2e-3]}
pairs: [[MultiLoRA 2×2, LoRA], [gain, LoRA]]
speed: {rounds: 2, steps: 1}
`)
}

func parsed(t *testing.T, text string) Experiment {
	t.Helper()
	e, err := parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func options(jobs int) Options {
	return Options{Jobs: jobs, Open: func() (*tensor.Device, error) {
		return device.OpenWith("cpu", device.Options{Threads: 1})
	}}
}

// bits is everything of results but times.
func bits(t *testing.T, r *Results) string {
	t.Helper()
	r.Speed = nil
	for i := range r.Runs {
		r.Runs[i].Timing = Timing{}
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// stopAfter cancels after so many runs.
type stopAfter struct {
	runs   int
	cancel context.CancelFunc
	lines  []string
	done   int
	of     int
}

func (s *stopAfter) Say(line string) { s.lines = append(s.lines, line) }
func (s *stopAfter) Runs(done, of int, _ time.Duration) {
	s.done, s.of = done, of
	if s.runs--; s.runs == 0 && s.cancel != nil {
		s.cancel()
	}
}

func TestRunAndResume(t *testing.T) {
	e := tiny(t)
	whole := filepath.Join(t.TempDir(), "whole")
	said := &stopAfter{}
	o := options(2)
	o.Progress = said
	plan, err := MakePlan(t.Context(), e, whole, o)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Bases != 2 || plan.Tuning != 2*4*2*3 || plan.Scored != 2*(3+3+2+2) ||
		plan.Missing.Runs() != plan.Runs() || plan.Seconds <= 0 {
		t.Errorf("plan %+v", plan)
	}
	if _, err := os.Stat(whole); err == nil {
		t.Error("a plan has made the folder")
	}
	r, err := Run(t.Context(), e, whole, o)
	if err != nil {
		t.Fatal(err)
	}
	checkResults(t, r)
	if said.done != said.of || said.done < plan.Runs() {
		t.Errorf("told of %d of %d runs, the plan has %d", said.done, said.of, plan.Runs())
	}
	if plan, err := MakePlan(t.Context(), e, whole, o); err != nil || plan.Missing.Runs() != 0 || plan.Seconds != 0 {
		t.Errorf("afterwards the plan is %+v, %v", plan, err)
	}
	want := bits(t, r)

	// Ended in the middle of every part, by one thread and by several, it comes to the same bits.
	parts := filepath.Join(t.TempDir(), "parts")
	for i, runs := range []int{1, 7, 3, 30, 12} {
		ctx, cancel := context.WithCancel(t.Context())
		o := options(1 + i%3)
		o.Progress = &stopAfter{runs: runs, cancel: cancel}
		if _, err := Run(ctx, e, parts, o); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d runs: got error %v", runs, err)
		}
		cancel()
	}
	again, err := Run(t.Context(), e, parts, options(2))
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, again)
	if got := bits(t, again); got != want {
		t.Errorf("resumed, it found\n%s\nwhole\n%s", got, want)
	}
	checkReuse(t, e, parts)
}

func checkResults(t *testing.T, r *Results) {
	t.Helper()
	if len(r.Bases) != 2 || len(r.Rates) != 8 || len(r.Runs) != 20 || len(r.Table) != 8 || len(r.Pairs) != 4 ||
		len(r.Findings) != 2 || len(r.Speed) != 4 {
		t.Fatalf("%d bases, %d rates, %d runs, %d rows, %d pairs, findings %q, %d speeds",
			len(r.Bases), len(r.Rates), len(r.Runs), len(r.Table), len(r.Pairs), r.Findings, len(r.Speed))
	}
	for _, rate := range r.Rates {
		if n := len(rate.Tries); n != 2 && n != 3 || len(rate.Tries[0].Losses) != 3 {
			t.Errorf("%s has the tries %v", rate.Method, rate.Tries)
		}
		if n := len(r.Rates[0].Tries); rate.Steps == r.Rates[0].Steps && len(rate.Tries) != n {
			t.Errorf("%s has %d tries, LoRA %d", rate.Method, len(rate.Tries), n)
		}
	}
	for _, row := range r.Table {
		want := []uint64{1, 2, 3}
		if row.Method == "gain" || row.Method == "full" {
			want = want[:2]
		}
		if !slices.Equal(row.Seeds, want) || row.Mean.Loss.N != len(want) || len(row.Tasks) != 4 ||
			len(row.Spectrum) == 0 {
			t.Errorf("row %+v", row)
		}
		if row.Relative.Mean <= 0 || row.Rank.Mean < 1 {
			t.Errorf("%s: relative change %v, effective rank %v", row.Method, row.Relative, row.Rank)
		}
		switch {
		case strings.HasPrefix(row.Method, "MultiLoRA") &&
			!(row.Scaling.Mean > 0 && row.Scaling.Mean < 0.5 && row.Random.Mean > 0.5):
			t.Errorf("MultiLoRA: scaling %v, random share %v: after a few steps s is small and most is the random start", row.Scaling, row.Random)
		case row.Method == "gain" && !(row.Scaling.Mean > 0.9 && row.Random.Mean == 0):
			t.Errorf("gain: scaling %v, random share %v: s begins at 1 and B at 0", row.Scaling, row.Random)
		case row.Method == "LoRA" && (row.Scaling.Mean != 0 || row.Random.Mean != 0):
			t.Errorf("LoRA: scaling %v, random share %v", row.Scaling, row.Random)
		}
	}
	for _, run := range r.Runs {
		if last := run.Curve[len(run.Curve)-1]; last.Step != run.Trial.Steps || len(run.Curve) != 2 ||
			last.Validation != run.Validation {
			t.Errorf("curve %+v of a run of %d steps with the loss %v", run.Curve, run.Trial.Steps, run.Validation)
		}
		if want := (run.Trial.Seed - 1) % 2 * 1; run.Trial.Base.Seed != want+1 {
			t.Errorf("seed %d began with the base of seed %d", run.Trial.Seed, run.Trial.Base.Seed)
		}
	}
	if p := r.Pairs[0]; p.First != "MultiLoRA 2×2" || p.Advantage.N != 3 || r.Pairs[1].Advantage.N != 2 ||
		len(p.Tasks) != 4 || p.Holm < p.Advantage.P {
		t.Errorf("pairs %+v", r.Pairs)
	}
}

// A line that is added to an experiment leaves what is there.
func checkReuse(t *testing.T, e Experiment, dir string) {
	t.Helper()
	more := e.Methods[0]
	more.Name, more.Rank = "LoRA 2", 2
	e.Methods = append(slices.Clone(e.Methods), more)
	plan, err := MakePlan(t.Context(), e, dir, options(1))
	if err != nil {
		t.Fatal(err)
	}
	if n := plan.Missing; n.Bases != 0 || n.Tuning != 2*2*3 || n.Scored == 0 {
		t.Errorf("with another method %+v is missing", n)
	}
}

func TestDifferentExperimentsDoNotShareRuns(t *testing.T) {
	e := tiny(t)
	m := e.Methods[1]
	base := e.trial(m, 1e-3, nil, 4, 0, 1, true)
	s := store{"x"}
	seen := map[string]string{s.trial(base): "itself"}
	for what, change := range map[string]func(t *Trial){
		"lr":         func(t *Trial) { t.LR = 2e-3 },
		"steps":      func(t *Trial) { t.Steps = 5 },
		"seed":       func(t *Trial) { t.Seed = 2 },
		"scored":     func(t *Trial) { t.Scored = false },
		"base seed":  func(t *Trial) { t.Base.Seed = 9 },
		"base steps": func(t *Trial) { t.Base.Base.Steps = 9 },
		"family":     func(t *Trial) { t.Base.Base.Generated = "ciphers" },
		"modules":    func(t *Trial) { t.Method.Modules = 1 },
		"scale-lr":   func(t *Trial) { t.Method.ScaleLR = 1 },
		"lora-plus":  func(t *Trial) { t.Method.BRate = 1 },
		"schedule":   func(t *Trial) { t.Train.Schedule = "constant" },
		"batch":      func(t *Trial) { t.Train.BatchRows = 5 },
		"clip":       func(t *Trial) { t.Train.ClipNorm = 2 },
		"task":       func(t *Trial) { t.Task = "left" },
		"from":       func(t *Trial) { t.From = &Trial{} },
	} {
		other := base
		change(&other)
		dir := s.trial(other)
		if was, ok := seen[dir]; ok {
			t.Errorf("a change of %s and %s have the same folder %s", what, was, dir)
		}
		seen[dir] = what
	}
	// what does not matter to a run does not make it anew
	m.Name, m.LR, m.Deciding = "other", []float64{1, 2}, !m.Deciding
	e.Train.Steps = []int{4}
	if s.trial(e.trial(m, 1e-3, nil, 4, 0, 1, true)) != s.trial(base) {
		t.Error("a method's name, grid or other numbers of steps change its runs")
	}
}

// A run that is stopped on its way goes on from where it was saved, to the same bits: what was saved
// there, and not a run from the first step.
func TestRunGoesOnFromItsPart(t *testing.T) {
	was := saveAfter
	saveAfter = 0
	defer func() { saveAfter = was }()
	e := tiny(t)
	e.Train.Steps = []int{9}
	for _, m := range []Method{e.Methods[1], e.Methods[3]} {
		x := partRunner(t, &e)
		trial := e.trial(m, 1e-3, nil, 9, 0, 1, true)
		made := func() (r TrialResult) {
			t.Helper()
			err := x.run(t.Context(), trial, func(made TrialResult, _ func(string) error) error {
				r = made
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		want := made()
		// What the first run has left after step 6 is what one that was stopped there leaves.
		part := x.store.trial(trial) + partEnd
		var left TrialResult
		if ok, err := load(part, &left); !ok || err != nil || len(left.Curve) != 2 || left.Curve[1].Step != 6 {
			t.Fatalf("%s: the part is %+v, %v, %v", m.Name, left.Curve, ok, err)
		}
		got := made()
		want.Timing, got.Timing = Timing{}, Timing{}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: went on to\n%+v\nwhole\n%+v", m.Name, got, want)
		}
		left.Curve[1].Validation = 42 // to see that it does go on from there
		if err := writeJSON(filepath.Join(part, resultFile), left); err != nil {
			t.Fatal(err)
		}
		if got = made(); got.Curve[1].Validation != 42 {
			t.Errorf("%s: began anew: %+v", m.Name, got.Curve)
		}
	}
}

// partRunner has a base, and nothing else.
func partRunner(t *testing.T, e *Experiment) *runner {
	t.Helper()
	x := &runner{experiment: e, options: options(1), store: store{t.TempDir()}}
	var err error
	if x.material, err = e.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.makeBases(t.Context(), &Results{}); err != nil {
		t.Fatal(err)
	}
	return x
}
