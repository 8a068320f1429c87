package train

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/internal/testworld"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/tensor"
)

// deepRun is a run of a model with so many blocks that most of them are not at hand.
func deepRun(t *testing.T) Config {
	t.Helper()
	c := mixtureRun(t)
	shape := tinymodel.Config()
	shape.Layers = 5
	c.Model = tinymodel.WriteLike(t, shape)
	c.Accumulate, c.Steps, c.EvalEvery, c.SaveEvery, c.Adapter.Dropout = 4, 5, 2, 2, 0.1
	return c
}

// Processes that divide the weights write the files of one that has them all, in every form in which they are stored;
// also where one number of processes is interrupted and another, with or without a division, goes on.
func TestShardedRuns(t *testing.T) {
	for name, c := range map[string]struct {
		processes int
		change    func(*Config)
	}{
		"f32, 2":                 {2, func(*Config) {}},
		"f32, 4, dora":           {4, func(c *Config) { c.Adapter.Method = multilora.MethodDoRA }},
		"bf16, 2, checkpointing": {2, func(c *Config) { c.DType, c.Checkpointing = tensor.BF16, true }},
		"q4, 4, packed":          {4, func(c *Config) { c.DType, c.Pack = tensor.Q4, true }},
		"q4, 2, checkpointing, 16 bits": {2, func(c *Config) {
			c.DType, c.ComputeDType, c.Checkpointing = tensor.Q4, "bf16", true
		}},
		"norms train, 2": {2, func(c *Config) { c.Adapter.Extra = []string{"*layers.3.*norm*"} }},
		"tasks, 2": {2, func(c *Config) {
			c.MaxTokens, c.EvalTasks, c.TaskData, c.EvalLimit = 48, []string{"rte"}, rteFolder(t), 10
		}},
		"dpo, 4": {4, preferenceOf(t, DPO)},
		"kto, 2": {2, preferenceOf(t, KTO)},
	} {
		t.Run(name, func(t *testing.T) {
			one := deepRun(t)
			c.change(&one)
			d, err := device.Open("cpu")
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if _, err := Run(t.Context(), d, one, watcher{}, Options{}); err != nil {
				t.Fatal(err)
			}
			other := one
			other.Out, other.Shard = filepath.Join(t.TempDir(), "run"), ShardWeights
			_, errs := together(t, c.processes, Run, func(int) Config { return other }, watcher{})
			noErrors(t, errs)
			sameWeights(t, weights(t, one.Out), weights(t, other.Out), "")
		})
	}
}

// preferenceOf makes a deep run one of preference training.
func preferenceOf(t *testing.T, o Objective) func(*Config) {
	return func(c *Config) {
		deep := *c
		*c = judgedRun(t, o)
		c.Model, c.Steps, c.Accumulate, c.BatchRows, c.EvalEvery, c.SaveEvery, c.HeldOut = deep.Model, 4, 4, 2, 2, 2, 7
	}
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for rank, err := range errs {
		if err != nil {
			t.Fatalf("process %d: %v", rank, err)
		}
	}
}

func sameWeights(t *testing.T, want, got map[string][]byte, but string) {
	t.Helper()
	if len(want) < 4 {
		t.Errorf("only %d files are compared", len(want))
	}
	for name, content := range want {
		if but != "" && strings.HasSuffix(name, but) {
			continue
		}
		if !bytes.Equal(got[name], content) {
			t.Errorf("%s has other bytes", name)
		}
	}
}

func TestShardedRunGoesOn(t *testing.T) {
	one := deepRun(t)
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := Run(t.Context(), d, one, watcher{}, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		first, then int
		shard       string
	}{{4, 2, ShardWeights}, {2, 1, ShardWeights}, {2, 4, ShardNothing}} {
		other := one
		other.Out, other.Shard = filepath.Join(t.TempDir(), "run"), ShardWeights
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, errs := together(t, c.first, Run, func(int) Config { return other }, watcher{func(step int) {
			if step == 3 {
				cancel()
			}
		}}, ctx)
		noErrors(t, errs)
		other.Shard = c.shard
		_, errs = together(t, c.then, Resume, func(int) Config { return other }, watcher{})
		noErrors(t, errs)
		sameWeights(t, weights(t, one.Out), weights(t, other.Out), "state.json") // that knows of the interruption
	}
}

// A step sends what the plan says beside the gradients: of each block but the two that are there the own part, once on
// the way forward and once on the way back, for each of the process's micro-batches.
func TestBytesOfShardedSteps(t *testing.T) {
	c := deepRun(t)
	c.EvalEvery, c.SaveEvery = 0, 0
	// A block of the 32-wide model in f32, each tensor from a multiple of 256 bytes: norms, q, k, v, o, and the
	// feed-forward part's three.
	block := 4 * (64 + 32*32 + 2*16*32 + 32*32 + 64 + 3*72*32)
	for _, n := range []int{2, 4} {
		sent := map[string]int{}
		for _, c.Shard = range []string{ShardNothing, ShardWeights} {
			c.Out = filepath.Join(t.TempDir(), "run")
			_, errs := together(t, n, Run, func(int) Config { return c }, watcher{})
			noErrors(t, errs)
			records, err := ReadMetrics(c.Out)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				if r.Kind == KindStep && r.Step == 4 {
					sent[c.Shard] = r.Processes.Sent
				}
			}
		}
		p, err := NewPlan(c, PlanOptions{Processes: n})
		if err != nil {
			t.Fatal(err)
		}
		passes, fetched := 4/n, 6 // blocks 2, 3 and 4 on the way forward, 2, 1 and 0 on the way back
		if want := passes * fetched * block / n; p.Sent != want || sent[ShardWeights]-sent[ShardNothing] != want {
			t.Errorf("%d processes: sent %d bytes and %d without a division, planned %d: want %d more", n,
				sent[ShardWeights], sent[ShardNothing], p.Sent, want)
		}
		if want := passes * fetched * (block - block/n); p.Gathered != want {
			t.Errorf("%d processes: planned to receive %d bytes, want %d", n, p.Gathered, want)
		}
	}
}

// What a process holds of the blocks is its part of all and two whole ones.
func TestPlanOfShardedWeights(t *testing.T) {
	c := Defaults()
	c.Model, c.MaxTokens, c.Shard, c.Accumulate, c.DType = "llama-7b", 64, ShardWeights, 8, tensor.BF16
	weights := func(n int) int {
		p, err := NewPlan(c, PlanOptions{Processes: n, DataTokens: 1})
		if err != nil {
			t.Fatal(err)
		}
		return p.Memory.Weights
	}
	const (
		block  = 2 * (4*4096*4096 + 3*4096*11008 + 2*4096)
		inNone = 2 * (2*32000*4096 + 4096)
	)
	for n, want := range map[int]int{1: 32 * block, 2: 32*block/2 + 2*block, 8: 32*block/8 + 2*block} {
		want += inNone
		if got := weights(n); got < want || got > want+want/40 {
			t.Errorf("%d processes: %d bytes of weights, want about %d", n, got, want)
		}
	}
	full := c
	full.Adapter.Method = MethodFull
	if _, err := NewPlan(full, PlanOptions{}); err == nil ||
		!strings.Contains(err.Error(), "shard: want none or optimizer with method full") {
		t.Errorf("full fine-tuning: %v", err)
	}
}

// A process whose micro-batch has no token to learn gives the others its part of the weights all the same.
func TestShardedBatchWithoutCountedTokens(t *testing.T) {
	c := deepRun(t)
	c.Out, c.Data = "", nil
	c.Resolve()
	batches := data.Batches(tinymodel.Rows(4, 3), 1)
	for i := range batches[2].Labels {
		batches[2].Labels[i] = data.Ignored
	}
	steps := func(processes int) (all [][]float64) {
		all = make([][]float64, processes)
		noErrors(t, testworld.Run(processes, func(w dist.World) error {
			d, err := device.OpenWith("cpu", device.Options{Threads: 1})
			if err != nil {
				return err
			}
			defer d.Close()
			r := &run{cfg: c, state: newState(), options: Options{World: &dist.Measured{World: w}}}
			if err := r.prepareModel(t.Context(), d, ""); err != nil {
				return err
			}
			defer func() { r.leaveShards(err) }()
			for range 3 {
				result, err := r.trainer.Step(batches)
				if err != nil {
					return err
				}
				all[w.Rank()] = append(all[w.Rank()], result.Loss, result.GradNorm)
			}
			return nil
		}))
		return all
	}
	want := steps(1)[0]
	c.Shard = ShardWeights
	for rank, got := range steps(4) {
		if !slices.Equal(got, want) {
			t.Errorf("process %d: %v, want %v", rank, got, want)
		}
	}
}

// What would have a process wait for others forever is said before.
func TestShardedProcessesThatDiffer(t *testing.T) {
	cfg := deepRun(t)
	cfg.Shard = ShardWeights
	for want, change := range map[string]func(*Config){
		`process 1 has not what process 0 has: setting shard: want "weights", got "none"`: func(c *Config) {
			c.Shard = ShardNothing
		},
		"process 1 has not what process 0 has: the sizes of the model's blocks differ": func(c *Config) {
			c.DType = tensor.BF16
		},
	} {
		_, errs := together(t, 2, Run, func(rank int) Config {
			own := cfg
			if rank == 1 {
				change(&own)
			}
			return own
		}, watcher{})
		for rank, err := range errs {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("process %d: %v, want %q", rank, err, want)
			}
		}
	}
}

// A process that fails in the middle of a step ends the others, of which some wait for its part of a block.
func TestShardedProcessThatFails(t *testing.T) {
	c := deepRun(t)
	c.Shard = ShardWeights
	_, errs := together(t, 2, func(ctx context.Context, d *tensor.Device, c Config, p Progress, o Options) (Summary, error) {
		if o.World.Rank() == 1 {
			n := 0
			d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
				if n++; n == 3000 {
					d.SetErr(fmt.Errorf("it burns"))
				}
			})
		}
		return Run(ctx, d, c, p, o)
	}, func(int) Config { return c }, watcher{})
	if errs[1] == nil || !strings.Contains(errs[1].Error(), "it burns") || errs[0] == nil ||
		!strings.Contains(errs[0].Error(), testworld.ErrEnded.Error()) {
		t.Errorf("got %v", errs)
	}
}
