package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/agora-ml/agora/internal/version"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/train"
)

// Trial is one run: everything that decides its bits.
type Trial struct {
	Base   BaseSpec `json:"base"`
	Method Method   `json:"method"` // see Method.bits
	Train  Training `json:"train"`  // without the other numbers of steps
	LR     float64  `json:"lr"`     // of merged: the weight of every adapter
	Steps  int      `json:"steps"`
	Seed   uint64   `json:"seed"`
	Scored bool     `json:"scored"` // on test rows; else on validation rows alone

	Task string `json:"task,omitempty"` // the only one that is learned; "": all
	From *Trial `json:"from,omitempty"` // whose adapters the method begins with
}

// TrialResult is what came out of a run.
type TrialResult struct {
	Trial      Trial       `json:"trial"`
	Trained    int         `json:"trained"`  // numbers that train
	Diverged   bool        `json:"diverged"` // a loss or a gradient was no finite number: the run ended there
	Validation float64     `json:"validation"`
	Scores     []TaskScore `json:"scores,omitempty"`
	Curve      []Point     `json:"curve"`
	Change     Change      `json:"change"`
	Version    string      `json:"version"` // of Agora
	Timing     Timing      `json:"timing"`  // the only thing that another machine has otherwise
}

// Point is a measurement on the way.
type Point struct {
	Step       int     `json:"step"`
	Validation float64 `json:"validation"`        // nats a token
	Letters    float64 `json:"letters,omitempty"` // of scored runs, mean over tasks
	Exact      float64 `json:"exact,omitempty"`
	Relative   float64 `json:"relative"` // see Change
	Scaling    float64 `json:"scaling"`
	Rank       float64 `json:"effective_rank"`
}

// Timing is how long a run took.
type Timing struct {
	Seconds float64 `json:"seconds"` // of all
	Steps   float64 `json:"steps"`   // of the steps alone
	Peak    int     `json:"peak"`    // most bytes in tensors
}

// rates are those chosen for a number of steps, by the names of methods.
type rates map[string]float64

// trial is the run of a method at a rate: seed number k of the list that it is of. chosen has the rate of
// the adapters that the method begins with.
func (e *Experiment) trial(m Method, lr float64, chosen rates, steps, k int, seed uint64, scored bool) Trial {
	t := Trial{Method: m.bits(), Train: e.Train, LR: lr, Steps: steps, Seed: seed, Scored: scored}
	if of, ok := e.method(m.From); ok {
		from := e.trial(of, chosen[of.Name], nil, steps, k, seed, scored)
		t.From = &from
	}
	bases := e.bases()
	t.Base = bases[k%len(bases)]
	t.Train.Steps = nil
	if !scored {
		t.Train.TestRows, t.Train.CurveRows = 0, 0
	}
	return t
}

func (s store) trial(t Trial) string {
	return filepath.Join(s.dir, runsFolder, digest(t, t.words()...))
}

func (t Trial) words() []string {
	w := []string{t.Method.Method}
	if t.Method.Method == merged {
		w = append(w, string(t.Method.Merge))
	}
	if t.Method.Rank > 0 {
		w = append(w, fmt.Sprintf("%dx%d", max(1, t.Method.Modules), t.Method.Rank))
	}
	w = append(w, fmt.Sprintf("lr%g", t.LR), fmt.Sprintf("steps%d", t.Steps), fmt.Sprintf("seed%d", t.Seed))
	if t.Task != "" {
		w = append(w, t.Task)
	}
	return w
}

// run makes a trial and gives keep what came out, and what of it is written beside the result. A loss
// that is no finite number ends a trial: that is a result, too.
func (x *runner) run(
	ctx context.Context, t Trial, keep func(r TrialResult, beside func(dir string) error) error,
) (err error) {
	start := time.Now()
	r := TrialResult{Trial: t, Version: version.String()}
	dir := x.store.trial(t)
	if t.From != nil {
		from, _, err := x.experiment.result(x.store, *t.From)
		if err != nil {
			return err
		}
		if r.Diverged = from.Diverged; r.Diverged {
			return keep(r, nil)
		}
	}
	d, err := x.options.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	model, err := x.store.open(ctx, d, t.Base)
	if err != nil {
		return err
	}
	adapter, trainable, err := x.start(model, t)
	if err != nil {
		return err
	}
	w, err := watch(model, adapter, t.Seed)
	if err != nil {
		return err
	}
	w.random = t.From == nil
	d.ResetPeak()
	if trainable == nil {
		err = x.measure(ctx, &r, w, t.Steps)
		r.Timing.Peak, r.Timing.Seconds = d.Stats().Peak, time.Since(start).Seconds()
	} else {
		r.Trained = trained(model)
		err = x.learn(ctx, &r, w, trainable, dir, start)
	}
	if err != nil {
		return err
	}
	if t.Task == "" || r.Diverged {
		return keep(r, nil)
	}
	return keep(r, func(dir string) error { return adapter.Save(filepath.Join(dir, adapterFolder)) })
}

// keep is what run is given to keep a trial.
func (x *runner) keep(r TrialResult, beside func(dir string) error) error {
	dir := x.store.trial(r.Trial)
	if err := save(dir, r, beside); err != nil {
		return err
	}
	return removePart(dir)
}

// start makes a model ready for a trial.
func (x *runner) start(model *llama.Model, t Trial) (*multilora.Adapter, *optim.Trainable, error) {
	if t.From != nil {
		return x.startFrom(model, t)
	}
	return t.Method.start(model, t.Seed)
}

// learn makes the steps of a trial, from where it was saved.
func (x *runner) learn(
	ctx context.Context, r *TrialResult, w *watcher, trainable *optim.Trainable, dir string, start time.Time,
) error {
	t := r.Trial
	l, err := newLearner(w.model, trainable, t.Train, t.Steps, t.LR, t.Seed, x.material.only(t.Task))
	if err != nil {
		return err
	}
	from, err := loadPart(dir, r, l)
	if err != nil {
		return err
	}
	before, saved := r.Timing.Seconds, start
	for step := from + 1; step <= t.Steps && !r.Diverged; step++ {
		began := time.Now()
		_, err := l.step(ctx)
		if _, ok := errors.AsType[*train.NonFiniteError](err); ok {
			r.Diverged = true
			break
		}
		if err != nil {
			return err
		}
		r.Timing.Steps += time.Since(began).Seconds()
		r.Timing.Peak = max(r.Timing.Peak, w.model.Device().Stats().Peak)
		if step%t.Train.CurveEvery != 0 && step != t.Steps {
			continue
		}
		if err := x.measure(ctx, r, w, step); err != nil {
			return err
		}
		r.Timing.Seconds = before + time.Since(start).Seconds()
		if step < t.Steps && !r.Diverged && time.Since(saved) >= saveAfter {
			if err := savePart(dir, *r, l); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	r.Timing.Seconds = before + time.Since(start).Seconds()
	return nil
}

// scoredOnTheWay is how many test rows of a task every point of a curve is of, if it is scored at all.
func (t Training) scoredOnTheWay(known bool) (rows int, ok bool) {
	if known && t.CurveRows > 0 {
		return t.CurveRows, true
	}
	return t.TestRows, !known
}

// measure adds a point to the curve; after the last step it is the result.
func (x *runner) measure(ctx context.Context, r *TrialResult, w *watcher, step int) error {
	t, rows := r.Trial, x.experiment.rowsAtOnce()
	own := x.material.only(t.Task)
	last := step == t.Steps
	p := Point{Step: step}
	var err error
	if p.Validation, err = own.validation(ctx, w.model, rows); err != nil {
		return err
	}
	if math.IsNaN(p.Validation) || math.IsInf(p.Validation, 0) {
		r.Diverged = true
		return nil
	}
	if t.Scored && last {
		if r.Scores, err = own.scores(ctx, w.model, rows, t.Train.TestRows); err != nil {
			return err
		}
	}
	if limit, ok := t.Train.scoredOnTheWay(own.isKnown()); t.Scored && (ok || last) {
		scores := r.Scores
		if !last || limit != t.Train.TestRows {
			if scores, err = own.scores(ctx, w.model, rows, limit); err != nil {
				return err
			}
		}
		p.Letters, p.Exact = Mean(scores, Letters), Mean(scores, Exact)
	}
	change, err := w.change(last)
	if err != nil {
		return err
	}
	p.Relative, p.Scaling, p.Rank = change.Relative, change.Scaling, change.Rank
	r.Curve = append(r.Curve, p)
	r.Validation, r.Change = p.Validation, change
	return nil
}

// loss is what a rate is judged by: a run that diverged is worse than any other.
func (r TrialResult) loss() float64 {
	if r.Diverged {
		return math.Inf(1)
	}
	return r.Validation
}
