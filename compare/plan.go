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
		chosen, err := e.rehearse(&p, s, steps)
		if err != nil {
			return p, err
		}
		for _, m := range e.Methods {
			for k, seed := range e.scored(m) {
				t := e.trial(m, chosen[m.Name], chosen, steps, k, seed, true)
				if err := e.count(&p, s, t, chosen != nil); err != nil {
					return p, err
				}
			}
		}
	}
	return p, nil
}

// count counts the runs of a trial, which may be there where its rate is known.
func (e *Experiment) count(p *Plan, s store, t Trial, known bool) error {
	all, missing := &p.Tuning, &p.Missing.Tuning
	if t.Scored {
		all, missing = &p.Scored, &p.Missing.Scored
	}
	for _, piece := range e.pieces(t) {
		done, err := false, error(nil)
		if known {
			if done, err = s.has(piece); err != nil {
				return err
			}
		}
		cost := e.cost(piece)
		*all++
		p.Steps += cost
		if !done {
			*missing++
			p.Missing.Steps += cost
		}
	}
	return nil
}

func (s store) has(t Trial) (bool, error) {
	var r TrialResult
	return load(s.trial(t), &r)
}

// rehearse goes through the tries for a number of steps as far as their runs are there. It gives every
// method's rate, or nil where one is missing.
func (e *Experiment) rehearse(p *Plan, s store, steps int) (rates, error) {
	waiting := true // the methods that need another row's rate
	grids, err := e.tuned(steps, func(trials []Trial) ([]float64, error) {
		waiting = trials[0].From == nil
		var losses []float64
		missing := false
		for _, t := range trials {
			if err := e.count(p, s, t, true); err != nil {
				return nil, err
			}
			r, done, err := e.result(s, t)
			if err != nil {
				return nil, err
			}
			missing = missing || !done
			losses = append(losses, r.loss())
		}
		if missing {
			return nil, errMissing
		}
		return losses, nil
	})
	if errors.Is(err, errMissing) {
		if waiting {
			return nil, e.countUntried(p, s, steps)
		}
		return nil, nil
	}
	chosen := rates{}
	for i, g := range grids {
		chosen[e.Methods[i].Name] = g[g.best()].LR
	}
	return chosen, err
}

// countUntried counts the tries of methods that wait for another row's rate.
func (e *Experiment) countUntried(p *Plan, s store, steps int) error {
	for _, i := range e.phases()[1] {
		m := e.Methods[i]
		for _, lr := range m.tries() {
			for k, seed := range e.Seeds.Tune {
				if err := e.count(p, s, e.trial(m, lr, nil, steps, k, seed, false), false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// cost is a run's length with its measurements, in steps: to go forward takes a third of a step's
// time, and to write an answer about as long as to read it.
func (e *Experiment) cost(t Trial) float64 {
	tasks, steps := len(e.taskNames()), t.Steps
	if t.Task != "" {
		tasks = 1
	}
	rows := t.Train.ValidationRows
	if limit, ok := t.Train.scoredOnTheWay(e.hasKnown()); t.Scored && ok {
		rows += 2 * limit
	}
	points := (steps + t.Train.CurveEvery - 1) / t.Train.CurveEvery
	if t.Method.Method == merged {
		steps, points = 0, 1
	}
	return float64(steps) + float64(points*rows*tasks)/float64(3*t.Train.BatchRows)
}

// secondsPerStep is the mean of the runs that are there; without any it is measured on a few steps of
// every method.
func (e *Experiment) secondsPerStep(ctx context.Context, s store, o Options) (float64, error) {
	seconds, cost := 0.0, 0.0
	for _, i := range e.phases()[0] {
		m := e.Methods[i]
		for _, steps := range e.Train.Steps {
			for _, lr := range m.LR {
				for _, t := range e.pieces(e.trial(m, lr, nil, steps, 0, e.Seeds.Tune[0], false)) {
					var r TrialResult
					if done, err := load(s.trial(t), &r); err != nil {
						return 0, err
					} else if done && !r.Diverged {
						seconds, cost = seconds+r.Timing.Seconds, cost+e.cost(t)
					}
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
	timed := e.timed()
	for _, m := range timed {
		one, err := e.tryStep(ctx, m, o)
		if err != nil {
			return 0, err
		}
		seconds += one / float64(len(timed))
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
