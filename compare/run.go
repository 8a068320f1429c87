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
	var pieces []Trial
	seen := map[string]bool{}
	for _, t := range all {
		for _, p := range x.experiment.pieces(t) {
			if dir := x.store.trial(p); !seen[dir] {
				pieces, seen[dir] = append(pieces, p), true
			}
		}
	}
	err := parallel(ctx, x.options.Jobs, len(pieces), func(ctx context.Context, i int) error {
		if done, err := x.store.has(pieces[i]); done || err != nil {
			return err
		}
		if err := x.run(ctx, pieces[i], x.keep); err != nil {
			return fmt.Errorf("run %s: %w", filepath.Base(x.store.trial(pieces[i])), err)
		}
		x.count.add(x.experiment.cost(pieces[i]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	results := make([]TrialResult, len(all))
	for i, t := range all {
		if results[i], _, err = x.experiment.result(x.store, t); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// tuneAll finds every method's rate for every number of steps.
func (x *runner) tuneAll(ctx context.Context, r *Results) error {
	e := x.experiment
	for _, steps := range e.Train.Steps {
		grids, err := e.tuned(steps, func(trials []Trial) ([]float64, error) {
			made, err := x.trials(ctx, trials)
			var losses []float64
			for _, r := range made {
				losses = append(losses, r.loss())
			}
			return losses, err
		})
		if err != nil {
			return err
		}
		for i, m := range e.Methods {
			rate := rateOf(m.Name, steps, grids[i])
			r.Rates = append(r.Rates, rate)
			x.say("%s, %d steps: %s %g of %d tries%s", m.Name, steps, m.tried(), rate.LR, len(grids[i]), edgeNote(grids[i]))
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
	for _, methods := range e.phases() {
		var trials []Trial
		var names []string
		for _, steps := range e.Train.Steps {
			chosen := r.rates(steps)
			for _, i := range methods {
				m := e.Methods[i]
				for k, seed := range e.scored(m) {
					trials = append(trials, e.trial(m, chosen[m.Name], chosen, steps, k, seed, true))
					names = append(names, m.Name)
				}
			}
		}
		made, err := x.trials(ctx, trials)
		if err != nil {
			return err
		}
		for i := range made {
			r.Runs = append(r.Runs, ScoredRun{names[i], made[i]})
		}
	}
	return nil
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
