package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/agora-ml/agora/internal/version"
	"github.com/agora-ml/agora/train"
)

// Trial is one run: everything that decides its bits.
type Trial struct {
	Base   BaseSpec `json:"base"`
	Method Method   `json:"method"` // without its name and its grid
	Train  Training `json:"train"`  // without the other numbers of steps
	LR     float64  `json:"lr"`
	Steps  int      `json:"steps"`
	Seed   uint64   `json:"seed"`
	Scored bool     `json:"scored"` // on test rows; else on validation rows alone
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

// trial is the run of a method: seed number k of the list that it is of.
func (e *Experiment) trial(m Method, lr float64, steps, k int, seed uint64, scored bool) Trial {
	t := Trial{Method: m.bits(), Train: e.Train, LR: lr, Steps: steps, Seed: seed, Scored: scored}
	bases := e.bases()
	t.Base = bases[k%len(bases)]
	t.Train.Steps = nil
	if !scored {
		t.Train.TestRows = 0
	}
	return t
}

func (s store) trial(t Trial) string {
	return filepath.Join(s.dir, runsFolder, digest(t, t.words()...))
}

func (t Trial) words() []string {
	w := []string{t.Method.Method}
	if t.Method.Rank > 0 {
		w = append(w, fmt.Sprintf("%dx%d", max(1, t.Method.Modules), t.Method.Rank))
	}
	return append(w, fmt.Sprintf("lr%g", t.LR), fmt.Sprintf("steps%d", t.Steps), fmt.Sprintf("seed%d", t.Seed))
}

// run makes a trial. A loss that is no finite number ends it: that is a result, too.
func (x *runner) run(ctx context.Context, t Trial) (r TrialResult, err error) {
	start := time.Now()
	d, err := x.options.Open()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	model, err := x.store.open(ctx, d, t.Base)
	if err != nil {
		return r, err
	}
	adapter, trainable, err := t.Method.start(model, t.Seed)
	if err != nil {
		return r, err
	}
	w, err := watch(model, adapter, t.Seed)
	if err != nil {
		return r, err
	}
	l, err := newLearner(model, trainable, t.Train, t.Steps, t.LR, t.Seed, x.material)
	if err != nil {
		return r, err
	}
	r = TrialResult{Trial: t, Trained: trained(model), Version: version.String()}
	dir := x.store.trial(t)
	from, err := loadPart(dir, &r, l)
	if err != nil {
		return r, err
	}
	before, saved := r.Timing.Seconds, start
	d.ResetPeak()
	for step := from + 1; step <= t.Steps && !r.Diverged; step++ {
		began := time.Now()
		_, err := l.step(ctx)
		if _, ok := errors.AsType[*train.NonFiniteError](err); ok {
			r.Diverged = true
			break
		}
		if err != nil {
			return r, err
		}
		r.Timing.Steps += time.Since(began).Seconds()
		r.Timing.Peak = max(r.Timing.Peak, d.Stats().Peak)
		if step%t.Train.CurveEvery != 0 && step != t.Steps {
			continue
		}
		if err := x.measure(ctx, &r, w, step); err != nil {
			return r, err
		}
		r.Timing.Seconds = before + time.Since(start).Seconds()
		if step < t.Steps && !r.Diverged && time.Since(saved) >= saveAfter {
			if err := savePart(dir, r, l); err != nil {
				return r, err
			}
			saved = time.Now()
		}
	}
	r.Timing.Seconds = before + time.Since(start).Seconds()
	return r, nil
}

// measure adds a point to the curve; after the last step it is the result.
func (x *runner) measure(ctx context.Context, r *TrialResult, w *watcher, step int) error {
	t, rows := r.Trial, x.experiment.rowsAtOnce()
	last := step == t.Steps
	p := Point{Step: step}
	var err error
	if p.Validation, err = x.material.validation(ctx, w.model, rows); err != nil {
		return err
	}
	if math.IsNaN(p.Validation) || math.IsInf(p.Validation, 0) {
		r.Diverged = true
		return nil
	}
	if t.Scored && (last || !x.material.isKnown()) { // data sets take long
		scores, err := x.material.scores(ctx, w.model, rows, t.Train.TestRows)
		if err != nil {
			return err
		}
		p.Letters, p.Exact = Mean(scores, Letters), Mean(scores, Exact)
		if last {
			r.Scores = scores
		}
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
