package train

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/internal/testworld"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/tensor"
)

// stepsTogether makes three steps of so many micro-batches by so many processes, and gives what each has then.
func stepsTogether(
	t *testing.T, processes, batches int, inSequence bool,
) (numbers [][]float64, results []StepResult) {
	t.Helper()
	all := data.Batches(tinymodel.Rows(2*batches, 3), 2)
	numbers, results = make([][]float64, processes), make([]StepResult, processes)
	tr := make([]tiny, processes)
	for rank := range tr {
		tr[rank] = newTiny(t, 1, 0.1)
		offStart(tr[rank])
	}
	for _, err := range testworld.Run(processes, func(w dist.World) (err error) {
		own := &tr[w.Rank()]
		own.World, own.inSequence = w, inSequence
		for range 3 {
			if results[w.Rank()], err = own.Step(all); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for rank := range tr {
		numbers[rank] = contents(t, tr[rank])
	}
	return numbers, results
}

// Any number of processes that divides the micro-batches makes the same steps, bit for bit, also where their spans
// are none of the tree's.
func TestProcessesMakeTheSameSteps(t *testing.T) {
	for batches, counts := range map[int][]int{4: {2, 4}, 6: {2, 3, 6}, 8: {8}, 12: {3, 4}} {
		want, one := stepsTogether(t, 1, batches, false)
		for _, n := range counts {
			got, results := stepsTogether(t, n, batches, false)
			for rank := range got {
				if fmt.Sprint(results[rank]) != fmt.Sprint(one[0]) {
					t.Errorf("%d micro-batches, %d processes: process %d says %+v, one alone %+v", batches, n, rank,
						results[rank], one[0])
				}
				different := 0
				for i, x := range got[rank] {
					if x != want[0][i] {
						different++
					}
				}
				if different > 0 {
					t.Errorf("%d micro-batches, %d processes: process %d has %d other numbers of %d", batches, n, rank,
						different, len(want[0]))
				}
			}
		}
	}
}

// The processes send what the plan counts: of G bytes of gradients (N-1)/N for the sum, and as much for all to have it,
// where the micro-batches are a power of two; else as many times the first as a process has spans of the tree.
func TestBytesOfTheGradientSum(t *testing.T) {
	for batches, counts := range map[int][]int{4: {2, 4}, 8: {2, 8}, 6: {2, 3}} {
		for _, n := range counts {
			sent, planned, most, all := make([]int, n), make([]int, n), 0, 0
			trainers := make([]tiny, n)
			for rank := range trainers {
				trainers[rank] = newTiny(t, 1, 0)
			}
			noErrors(t, testworld.Run(n, func(w dist.World) error {
				tr, m := trainers[w.Rank()], &dist.Measured{World: w}
				tr.World = m
				err := tr.addUp(batches, func(int) error { return nil })
				sent[w.Rank()] = m.Sent
				planned[w.Rank()], _ = tr.newSum(w.Rank(), n, batches).sumBytes()
				if w.Rank() == 0 {
					most = tr.mostPassed(n, batches)
					for grad := range tr.Trainable.GradParts() {
						all += grad.Bytes()
					}
				}
				return err
			}))
			if !slices.Equal(sent, planned) {
				t.Errorf("%d micro-batches, %d processes: sent %v bytes, planned %v", batches, n, sent, planned)
			}
			times := 2
			if batches == 6 && n == 2 { // two spans each
				times = 3
			}
			total := 0
			for _, bytes := range sent {
				total += bytes
			}
			if want := times * (n - 1) * all; total != want {
				t.Errorf("%d micro-batches, %d processes: sent %d bytes in all, want %d", batches, n, total, want)
			}
			if most < total/n || most > total/n+times*4*n*2 {
				t.Errorf("%d micro-batches, %d processes: at most %d bytes of a process, want about %d", batches, n, most, total/n)
			}
		}
	}
}

// Where each adds its own in sequence, all processes still have the same numbers, and about those of one alone.
func TestProcessesThatAddInSequence(t *testing.T) {
	want, one := stepsTogether(t, 1, 6, true)
	got, results := stepsTogether(t, 3, 6, true)
	if !slices.Equal(got[0], got[1]) || !slices.Equal(got[0], got[2]) {
		t.Error("the processes have other numbers than each other")
	}
	if slices.Equal(got[0], want[0]) {
		t.Error("three processes have the bits of one: the test says nothing")
	}
	for i, x := range got[0] {
		if math.Abs(x-want[0][i]) > 2e-3 {
			t.Fatalf("number %d is %v, of one process %v", i, x, want[0][i])
		}
	}
	if math.Abs(results[0].Loss-one[0].Loss) > 1e-4 {
		t.Errorf("loss %v, of one process %v", results[0].Loss, one[0].Loss)
	}
}

// The sum over micro-batches is that of the tree.
func TestOrderOfTheGradientSum(t *testing.T) {
	for s, want := range map[span][2]span{
		{0, 2}: {{0, 1}, {1, 2}}, {0, 3}: {{0, 2}, {2, 3}}, {0, 4}: {{0, 2}, {2, 4}}, {0, 7}: {{0, 4}, {4, 7}},
		{4, 7}: {{4, 6}, {6, 7}}, {0, 12}: {{0, 8}, {8, 12}},
	} {
		first, second := s.halves()
		if got := [2]span{first, second}; got != want {
			t.Errorf("%v: got %v, want %v", s, got, want)
		}
	}
	tr := newTiny(t, 1, 0)
	tr.reserve(tr.newSum(0, 1, 8))
	if len(tr.spare) != 3 {
		t.Errorf("room for %d sums of 8 micro-batches, want 3", len(tr.spare))
	}
	if _, err := tr.Step(data.Batches(tinymodel.Rows(8, 3), 1)); err != nil {
		t.Fatal(err)
	}
	whole := newTiny(t, 1, 0)
	whole.inSequence = true
	whole.reserve(whole.newSum(0, 1, 8))
	if _, err := whole.Step(data.Batches(tinymodel.Rows(8, 3), 1)); err != nil || len(whole.spare) != 0 {
		t.Errorf("in sequence: %v and room for %d sums, want none", err, len(whole.spare))
	}
	if len(tr.spare) != 3 {
		t.Errorf("after a step of 8 micro-batches there are %d sums, want the 3 that were reserved", len(tr.spare))
	}
}

// together has processes run or resume what each is given, which may have no other context than the rest.
func together(
	t *testing.T, processes int, begin func(context.Context, *tensor.Device, Config, Progress, Options) (Summary, error),
	cfg func(rank int) Config, p Progress, contexts ...context.Context,
) (summaries []Summary, errs []error) {
	t.Helper()
	summaries = make([]Summary, processes)
	return summaries, testworld.Run(processes, func(w dist.World) error {
		ctx := t.Context()
		if w.Rank() < len(contexts) {
			ctx = contexts[w.Rank()]
		}
		d, err := device.OpenWith("cpu", device.Options{Threads: 1})
		if err != nil {
			return err
		}
		defer d.Close()
		summaries[w.Rank()], err = begin(ctx, d, cfg(w.Rank()), p, Options{World: w})
		return err
	})
}

// weights are the files of a run that have no time in them.
func weights(t *testing.T, out string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(out, path)
		if filepath.Ext(rel) == ".safetensors" || strings.HasPrefix(rel, CheckpointsFolder) {
			all[rel], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A run of several processes writes the files of one alone, is stopped by what any of them is told, and goes on
// with another number of processes.
func TestRunTogether(t *testing.T) {
	one := mixtureRun(t)
	one.Accumulate, one.Steps, one.Adapter.Dropout = 4, 14, 0.1
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	alone, err := Run(t.Context(), d, one, watcher{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := weights(t, one.Out)
	for _, c := range []struct{ first, then int }{{2, 4}, {4, 1}} {
		other := one
		other.Out = filepath.Join(t.TempDir(), "run")
		given := func(int) Config { return other }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		summaries, errs := together(t, c.first, Run, given, watcher{func(step int) {
			if step == 8 {
				cancel()
			}
		}}, t.Context(), ctx)
		for rank, err := range errs {
			if s := summaries[rank]; err != nil || !s.Interrupted || s.Steps != 8 && s.Steps != 9 {
				t.Fatalf("process %d of %d: %+v, %v: want an interruption", rank, c.first, s, err)
			}
		}
		summaries, errs = together(t, c.then, Resume, given, watcher{})
		for rank, err := range errs {
			if s := summaries[rank]; err != nil || s.Steps != 14 || s.Loss != alone.Loss ||
				*s.HeldOutAfter != *alone.HeldOutAfter || s.Best.HeldOutLoss != alone.Best.HeldOutLoss {
				t.Fatalf("process %d of %d: %+v, %v; alone %+v", rank, c.then, s, err, alone)
			}
		}
		got := weights(t, other.Out)
		for name, content := range want {
			if strings.HasSuffix(name, "state.json") { // knows of the interruption
				continue
			}
			if !bytes.Equal(got[name], content) {
				t.Errorf("%d processes, then %d: %s has other bytes", c.first, c.then, name)
			}
		}
		if len(want) < 5 {
			t.Errorf("only %d files are compared", len(want))
		}
	}
}

// Runs of preference training are shared as well, where a process has less to score than another, too.
func TestPreferenceRunsTogether(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, o := range Objectives()[1:] {
		one := judgedRun(t, o)
		one.Steps, one.Accumulate, one.BatchRows, one.EvalEvery, one.SaveEvery, one.HeldOut = 6, 4, 2, 3, 3, 7
		one.Adapter.Dropout = 0.1
		alone, err := Run(t.Context(), d, one, watcher{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := weights(t, one.Out)
		for n, shard := range map[int]string{2: ShardNothing, 4: ShardWeights} {
			other := one
			other.Out, other.Shard = filepath.Join(t.TempDir(), "run"), shard
			summaries, errs := together(t, n, Run, func(int) Config { return other }, watcher{})
			for rank, err := range errs {
				s := summaries[rank]
				if err != nil || s.Loss != alone.Loss || *s.HeldOutAfter != *alone.HeldOutAfter ||
					s.PreferenceAfter.Accuracy != alone.PreferenceAfter.Accuracy {
					t.Fatalf("%s: process %d of %d: %+v, %v; alone %+v", o, rank, n, s, err, alone)
				}
			}
			got := weights(t, other.Out)
			for name, content := range want {
				if !strings.HasSuffix(name, "state.json") && !bytes.Equal(got[name], content) {
					t.Errorf("%s: %d processes: %s has other bytes", o, n, name)
				}
			}
		}
	}
}

func TestProcessesThatDiffer(t *testing.T) {
	cfg := mixtureRun(t)
	cfg.Accumulate, cfg.Steps = 4, 2
	for want, c := range map[string]struct {
		processes int
		change    func(*Config)
	}{
		`process 1 has not what process 0 has: setting seed: want "3", got "4"`:               {2, func(c *Config) { c.Seed = 4 }},
		`process 1 has not what process 0 has: setting lr: want "0.03", got "0.5"`:            {2, func(c *Config) { c.LR = 0.5 }},
		"accumulate: want a multiple of the 3 processes, got 4, which fits [1 2 4] processes": {3, func(*Config) {}},
	} {
		_, errs := together(t, c.processes, Run, func(rank int) Config {
			own := cfg
			if rank == 1 {
				c.change(&own)
			}
			return own
		}, watcher{})
		for rank, err := range errs {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("process %d: %v, want %q", rank, err, want)
			}
		}
		if _, err := os.Stat(filepath.Join(cfg.Out, MetricsFile)); err == nil {
			t.Error("there is a run")
		}
	}
}
