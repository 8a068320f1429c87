package compare

import (
	"context"
	"errors"
	"time"

	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/nn/llama"
)

// Plan is what an experiment has to do.
type Plan struct {
	Work
	Missing Work `json:"missing"` // what is not in the folder yet
	// More is how many runs every further round of tries adds, and Rounds how many there may be.
	More   int `json:"more"`
	Rounds int `json:"rounds"`
	// Seconds is how long Missing takes, by the runs that are there or, of a generated base, by some
	// steps made now; 0: unknown.
	Seconds float64 `json:"seconds"`
}

// Work counts runs.
type Work struct {
	Bases  int     `json:"bases"`
	Tuning int     `json:"tuning"`
	Scored int     `json:"scored"`
	Steps  float64 `json:"steps"` // of all, measuring counted as the steps that take as long
}

// Runs is the number of all.
func (w Work) Runs() int { return w.Bases + w.Tuning + w.Scored }

// MakePlan says what Run would do in the folder dir, which need not be there.
func MakePlan(ctx context.Context, e Experiment, dir string, o Options) (Plan, error) {
	if err := e.Validate(); err != nil {
		return Plan{}, err
	}
	s := store{dir}
	p, err := e.plan(s)
	if err != nil || p.Missing.Runs() == 0 {
		return p, err
	}
	perStep, err := e.secondsPerStep(ctx, s, o)
	p.Seconds = perStep * p.Missing.Steps / float64(max(1, o.Jobs))
	return p, err
}

// errMissing ends a rehearsal.
var errMissing = errors.New("a run is missing")

// plan counts what there is and what is missing. How far tries go on is known only where the runs are
// there: else they are counted without further rounds.
func (e *Experiment) plan(s store) (p Plan, err error) {
	p.Rounds, p.More = e.Seeds.Rounds, len(e.Methods)*len(e.Seeds.Tune)
	for _, b := range e.bases() {
		n := float64(b.Base.Steps)
		var r BaseResult
		done, err := load(s.base(b), &r)
		if err != nil {
			return p, err
		}
		p.Bases++
		p.Steps += n
		if !done {
			p.Missing.Bases++
			p.Missing.Steps += n
		}
	}
	for _, steps := range e.Train.Steps {
		rates, err := e.rehearse(&p, s, steps)
		if err != nil {
			return p, err
		}
		for i, m := range e.Methods {
			for k, seed := range e.scored(m) {
				done := false
				if rates != nil {
					if done, err = s.has(e.trial(m, rates[i], steps, k, seed, true)); err != nil {
						return p, err
					}
				}
				p.count(&p.Scored, &p.Missing.Scored, e.cost(steps, true), done)
			}
		}
	}
	return p, nil
}

func (p *Plan) count(all, missing *int, cost float64, done bool) {
	*all++
	p.Steps += cost
	if !done {
		*missing++
		p.Missing.Steps += cost
	}
}

func (s store) has(t Trial) (bool, error) {
	var r TrialResult
	return load(s.trial(t), &r)
}

// rehearse goes through the tries for a number of steps as far as their runs are there. It gives every
// method's rate, or nil where one is missing.
func (e *Experiment) rehearse(p *Plan, s store, steps int) ([]float64, error) {
	grids, err := tune(e.Methods, e.Seeds.Rounds, func(todo []tryOf) ([][]float64, error) {
		losses := make([][]float64, len(todo))
		missing := false
		for i, t := range todo {
			for k, seed := range e.Seeds.Tune {
				var r TrialResult
				done, err := load(s.trial(e.trial(e.Methods[t.method], t.lr, steps, k, seed, false)), &r)
				if err != nil {
					return nil, err
				}
				missing = missing || !done
				losses[i] = append(losses[i], r.loss())
				p.count(&p.Tuning, &p.Missing.Tuning, e.cost(steps, false), done)
			}
		}
		if missing {
			return nil, errMissing
		}
		return losses, nil
	})
	if errors.Is(err, errMissing) {
		return nil, nil
	}
	var rates []float64
	for _, g := range grids {
		rates = append(rates, g[g.best()].LR)
	}
	return rates, err
}

// cost is a run's length with its measurements, in steps: to go forward takes a third of a step's
// time, and to write an answer about as long as to read it.
func (e *Experiment) cost(steps int, scored bool) float64 {
	tasks := len(e.Tasks)
	if f, err := synthetic.Find(e.Base.Generated); err == nil {
		tasks = len(f.New)
	}
	rows := e.Train.ValidationRows
	if scored {
		rows += 2 * e.Train.TestRows
	}
	points := (steps + e.Train.CurveEvery - 1) / e.Train.CurveEvery
	return float64(steps) + float64(points*rows*tasks)/float64(3*e.Train.BatchRows)
}

// secondsPerStep is the mean of the runs that are there; without any it is measured on a few steps of
// every method.
func (e *Experiment) secondsPerStep(ctx context.Context, s store, o Options) (float64, error) {
	seconds, cost := 0.0, 0.0
	for _, m := range e.Methods {
		for _, steps := range e.Train.Steps {
			for _, lr := range m.LR {
				var r TrialResult
				if done, err := load(s.trial(e.trial(m, lr, steps, 0, e.Seeds.Tune[0], false)), &r); err != nil {
					return 0, err
				} else if done && !r.Diverged {
					seconds, cost = seconds+r.Timing.Seconds, cost+e.cost(steps, false)
				}
			}
		}
	}
	if cost > 0 {
		return seconds / cost, nil
	}
	if e.Base.Model != "" {
		return 0, nil
	}
	for _, m := range e.Methods {
		one, err := e.tryStep(ctx, m, o)
		if err != nil {
			return 0, err
		}
		seconds += one / float64(len(e.Methods))
	}
	return seconds, nil
}

// tryStep is the time of a method's step on a new model of the family's shape.
func (e *Experiment) tryStep(ctx context.Context, m Method, o Options) (seconds float64, err error) {
	const steps = 6
	f, err := synthetic.Find(e.Base.Generated)
	if err != nil {
		return 0, err
	}
	own, err := generated(f, f.New, 1, 1)
	if err != nil {
		return 0, err
	}
	d, err := o.Open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	model, err := llama.New(d, f.Model(), 0)
	if err != nil {
		return 0, err
	}
	_, trainable, err := m.start(model, 0)
	if err != nil {
		return 0, err
	}
	recipe := e.Train
	recipe.Warmup = 0
	l, err := newLearner(model, trainable, recipe, warmSteps+steps, 1e-6, 0, own)
	if err != nil {
		return 0, err
	}
	var start time.Time
	for i := range warmSteps + steps {
		if i == warmSteps {
			start = time.Now()
		}
		if _, err := l.step(ctx); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds() / steps, nil
}
