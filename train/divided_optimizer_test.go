package train

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/tensor"
)

// Every process meets every other one once.
func TestPartners(t *testing.T) {
	for size := 2; size <= 9; size++ {
		met := map[string]int{}
		for round := range size - 1 | 1 {
			for rank := range size {
				other := partner(rank, size, round)
				if back := partner(other, size, round); back != rank {
					t.Errorf("round %d of %d processes: %d meets %d, which meets %d", round, size, rank, other, back)
				}
				if rank < other {
					met[fmt.Sprint(rank, other)]++
				}
			}
		}
		for pair, times := range met {
			if times != 1 {
				t.Errorf("%d processes: %s meet %d times", size, pair, times)
			}
		}
		if want := size * (size - 1) / 2; len(met) != want {
			t.Errorf("%d processes: %d pairs meet, want %d", size, len(met), want)
		}
	}
}

// wholeRun is a full fine-tuning of a model that is large enough to be divided: seven partial sums of its gradient's norm.
func wholeRun(t *testing.T) Config {
	t.Helper()
	c := mixtureRun(t)
	shape := tinymodel.Config()
	shape.Hidden, shape.Intermediate, shape.HeadDim = 128, 384, 32
	c.Model = tinymodel.WriteLike(t, shape)
	c.Adapter.Method, c.Adapter.Targets, c.Shard = MethodFull, nil, ShardOptimizer
	c.Accumulate, c.Steps, c.EvalEvery, c.SaveEvery, c.LR = 4, 5, 2, 2, 1e-3
	return c
}

func runAlone(t *testing.T, c Config) Summary {
	t.Helper()
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := Run(t.Context(), d, c, watcher{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Processes that divide the optimizer write the files of one that has it all, moments and masters among them; also
// where their spans of micro-batches are none of the tree's.
func TestDividedOptimizers(t *testing.T) {
	for name, c := range map[string]struct {
		processes []int
		change    func(*Config)
	}{
		"f32":                   {[]int{2, 4}, func(*Config) {}},
		"bf16":                  {[]int{2}, func(c *Config) { c.DType = tensor.BF16 }},
		"f16, packed":           {[]int{4}, func(c *Config) { c.DType, c.Pack = tensor.F16, true }},
		"six micro-batches":     {[]int{2, 3, 6}, func(c *Config) { c.Accumulate, c.Steps = 6, 3 }},
		"no clipping":           {[]int{2}, func(c *Config) { c.ClipNorm, c.Checkpointing = 0, true }},
		"more than parts, dpo":  {[]int{8}, func(c *Config) { judged(t, c) }},
		"one micro-batch, many": {[]int{1}, func(c *Config) { c.Accumulate = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			one := wholeRun(t)
			c.change(&one)
			alone := runAlone(t, one)
			for _, n := range c.processes {
				other := one
				other.Out = filepath.Join(t.TempDir(), "run")
				summaries, errs := together(t, n, Run, func(int) Config { return other }, watcher{})
				noErrors(t, errs)
				sameWeights(t, weights(t, one.Out), weights(t, other.Out), "")
				for rank, s := range summaries {
					if s.Loss != alone.Loss {
						t.Errorf("process %d of %d: loss %v, of one alone %v", rank, n, s.Loss, alone.Loss)
					}
				}
			}
		})
	}
}

// judged makes a run of everything one of preference training.
func judged(t *testing.T, c *Config) {
	whole := *c
	*c = judgedRun(t, ORPO)
	c.Model, c.Adapter, c.Shard, c.LR = whole.Model, whole.Adapter, whole.Shard, whole.LR
	c.Steps, c.Accumulate, c.BatchRows, c.EvalEvery, c.SaveEvery, c.HeldOut = 2, 8, 1, 2, 2, 4
}

// A run that divides its optimizer goes on with another number of processes, but not as one that adds the gradients in
// another order.
func TestDividedOptimizerGoesOn(t *testing.T) {
	one := wholeRun(t)
	one.DType = tensor.BF16
	runAlone(t, one)
	for _, c := range []struct{ first, then int }{{4, 2}, {2, 1}, {1, 4}} {
		other := one
		other.Out = filepath.Join(t.TempDir(), "run")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, errs := together(t, c.first, Run, func(int) Config { return other }, watcher{func(step int) {
			if step == 3 {
				cancel()
			}
		}}, ctx)
		noErrors(t, errs)
		for n, want := range map[int]string{
			1: "device sum of gradients: want by micro-batches, with which the run began, got none",
			2: "device processes: want none, with which the run began, got 2",
		} {
			plain := other
			plain.Shard = ShardNothing
			_, errs := together(t, n, Resume, func(int) Config { return plain }, watcher{})
			if errs[0] == nil || !strings.Contains(errs[0].Error(), want) {
				t.Errorf("undivided: %v, want %q", errs[0], want)
			}
		}
		_, errs = together(t, c.then, Resume, func(int) Config { return other }, watcher{})
		noErrors(t, errs)
		sameWeights(t, weights(t, one.Out), weights(t, other.Out), "state.json") // that knows of the interruption
	}
}

// A plan counts a part of moments and masters, and no sums beside the gradient for a process with one micro-batch.
func TestPlanOfADividedOptimizer(t *testing.T) {
	c := Defaults()
	c.Model, c.MaxTokens, c.Accumulate, c.DType, c.Adapter.Method = "tinyllama-1.1b", 64, 8, tensor.BF16, MethodFull
	plan := func(n int, shard string) Plan {
		c.Shard = shard
		p, err := NewPlan(c, PlanOptions{Processes: n, DataTokens: 1})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, many := plan(8, ShardNothing), plan(8, ShardOptimizer)
	n := one.Parameters
	about := func(what string, got, want int) {
		t.Helper()
		if got < want-want/1000 || got > want+want/25 { // parts differ a little, and padding costs
			t.Errorf("%s: %d bytes, want about %d", what, got, want)
		}
	}
	about("moments and masters", one.Memory.Moments, 12*n)
	about("a part of them", many.Memory.Moments, 12*n/8)
	about("gradients", many.Memory.Gradients, 4*n)
	about("gradients of two micro-batches each", plan(4, ShardOptimizer).Memory.Gradients, 2*4*n)
	about("sums of one process", plan(1, ShardOptimizer).Memory.Gradients, 4*4*n)
	about("on the way", many.sums, 7*n/8*(4+2))
	err := one.Fits(Room{Device: one.Need() - 8*n})
	if err == nil || !strings.Contains(err.Error(), "fits      shard: optimizer") {
		t.Errorf("what does not fit is not told of it: %v", err)
	}
	c.Adapter.Method, c.Shard = multilora.MethodLoRA, ShardOptimizer
	if _, err := NewPlan(c, PlanOptions{}); err == nil ||
		!strings.Contains(err.Error(), "shard: want none or weights with an adapter") {
		t.Errorf("an adapter: %v", err)
	}
}
