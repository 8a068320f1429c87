package compare

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/folderlock"
	"github.com/agora-ml/agora/tensor"
)

// Options say how an experiment runs. Its results do not depend on them.
type Options struct {
	// Open opens the device of one run, which closes it.
	Open func() (*tensor.Device, error)
	// Jobs is how many runs are made at a time; 0: one.
	Jobs int
	// Progress is told how the experiment goes on; nil: nobody.
	Progress Progress
}

// Progress is told how an experiment goes on, by one goroutine at a time.
type Progress interface {
	Say(line string)
	Runs(done, of int, left time.Duration) // left is 0 while it is not known
}

// runner is an experiment on its way.
type runner struct {
	experiment *Experiment
	options    Options
	store      store
	material   *material
	count      counter
}

// Run makes what of an experiment is missing in the folder dir. It ends with ctx's error when
// ctx ends; Run on the same folder then goes on, and ends with the same bits.
func Run(ctx context.Context, e Experiment, dir string, o Options) (r *Results, err error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	lock, err := folderlock.Take(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	x := &runner{experiment: &e, options: o, store: store{dir}}
	for _, folder := range []string{"", basesFolder, runsFolder} {
		if err := atomicfile.RemoveLeftovers(filepath.Join(dir, folder)); err != nil {
			return nil, err
		}
	}
	if x.material, err = e.read(ctx); err != nil {
		return nil, err
	}
	plan, err := e.plan(x.store)
	if err != nil {
		return nil, err
	}
	x.count = counter{
		of: plan.Runs(), done: plan.Runs() - plan.Missing.Runs(), missing: plan.Missing.Steps,
		progress: o.Progress, start: time.Now(),
	}
	r = &Results{Experiment: e}
	if err := x.makeBases(ctx, r); err != nil {
		return nil, err
	}
	if err := x.tuneAll(ctx, r); err != nil {
		return nil, err
	}
	if err := x.scoreAll(ctx, r); err != nil {
		return nil, err
	}
	if r.Speed, err = x.speed(ctx, r); err != nil {
		return nil, err
	}
	r.finish()
	return r, nil
}

func (x *runner) say(format string, args ...any) { x.count.say(fmt.Sprintf(format, args...)) }

func (x *runner) makeBases(ctx context.Context, r *Results) error {
	specs := x.experiment.bases()
	r.Bases = make([]BaseResult, len(specs))
	return parallel(ctx, x.options.Jobs, len(specs), func(ctx context.Context, i int) error {
		dir := x.store.base(specs[i])
		if done, err := load(dir, &r.Bases[i]); done || err != nil {
			return err
		}
		if err := x.makeBase(ctx, specs[i]); err != nil {
			return fmt.Errorf("base of seed %d: %w", specs[i].Seed, err)
		}
		if _, err := load(dir, &r.Bases[i]); err != nil {
			return err
		}
		x.count.add(float64(max(1, specs[i].Base.Steps)))
		if b := r.Bases[i]; b.Own.Task != "" {
			x.say("base of seed %d: %.1f %% of its own tasks exact, %.1f %% of the new ones",
				specs[i].Seed, 100*b.Own.Exact, 100*Mean(b.New, Exact))
		}
		return nil
	})
}

// trials makes those that are missing and gives the results of all.
func (x *runner) trials(ctx context.Context, all []Trial) ([]TrialResult, error) {
	results := make([]TrialResult, len(all))
	err := parallel(ctx, x.options.Jobs, len(all), func(ctx context.Context, i int) error {
		dir := x.store.trial(all[i])
		if done, err := load(dir, &results[i]); done || err != nil {
			return err
		}
		made, err := x.run(ctx, all[i])
		if err != nil {
			return fmt.Errorf("run %s: %w", filepath.Base(dir), err)
		}
		if err := errors.Join(save(dir, made, nil), removePart(dir)); err != nil {
			return err
		}
		x.count.add(x.experiment.cost(all[i].Steps, all[i].Scored))
		_, err = load(dir, &results[i])
		return err
	})
	return results, err
}

// tuneAll finds every method's rate for every number of steps.
func (x *runner) tuneAll(ctx context.Context, r *Results) error {
	e := x.experiment
	for _, steps := range e.Train.Steps {
		grids, err := tune(e.Methods, e.Seeds.Rounds, func(todo []tryOf) ([][]float64, error) {
			var trials []Trial
			for _, t := range todo {
				for k, seed := range e.Seeds.Tune {
					trials = append(trials, e.trial(e.Methods[t.method], t.lr, steps, k, seed, false))
				}
			}
			made, err := x.trials(ctx, trials)
			losses := make([][]float64, len(todo))
			for i := range made {
				k := i / len(e.Seeds.Tune)
				losses[k] = append(losses[k], made[i].loss())
			}
			return losses, err
		})
		if err != nil {
			return err
		}
		for i, m := range e.Methods {
			rate := rateOf(m.Name, steps, grids[i])
			r.Rates = append(r.Rates, rate)
			x.say("%s, %d steps: rate %g of %d tries%s", m.Name, steps, rate.LR, len(grids[i]), edgeNote(grids[i]))
		}
	}
	return nil
}

func edgeNote(g grid) string {
	if g.atEdge() {
		return ", at the end of the grid: a better one may lie beyond"
	}
	return ""
}

// scoreAll runs every method at its rate on the seeds that count.
func (x *runner) scoreAll(ctx context.Context, r *Results) error {
	e := x.experiment
	var trials []Trial
	for _, steps := range e.Train.Steps {
		for _, m := range e.Methods {
			for k, seed := range e.scored(m) {
				trials = append(trials, e.trial(m, r.rate(m.Name, steps), steps, k, seed, true))
				r.Runs = append(r.Runs, ScoredRun{Method: m.Name})
			}
		}
	}
	made, err := x.trials(ctx, trials)
	for i := range made {
		r.Runs[i].TrialResult = made[i]
	}
	return err
}

// parallel calls do for 0 to n - 1, several at a time in that order, until one fails.
func parallel(ctx context.Context, jobs, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, workers = make(chan int), sync.WaitGroup{}
	for range min(max(1, jobs), n) {
		workers.Go(func() {
			for i := range next {
				if ctx.Err() == nil {
					if err := do(ctx, i); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// counter counts runs and says how long the others may take, by how many steps they have.
type counter struct {
	sync.Mutex
	progress Progress
	start    time.Time
	done, of int
	made     float64 // steps of this call
	missing  float64 // steps before it
}

func (c *counter) say(line string) {
	c.Lock()
	defer c.Unlock()
	if c.progress != nil {
		c.progress.Say(line)
	}
}

func (c *counter) add(steps float64) {
	c.Lock()
	defer c.Unlock()
	c.made += steps
	c.done++
	c.of = max(c.of, c.done)
	c.missing = max(c.missing, c.made)
	if c.progress != nil {
		left := time.Duration(float64(time.Since(c.start)) / c.made * (c.missing - c.made))
		c.progress.Runs(c.done, c.of, left)
	}
}
