package compare

import (
	"math"
	"path/filepath"
)

// adapterFolder is in the folder of a run that learned one task alone.
const adapterFolder = "adapter"

// pieces are the runs that a trial consists of: one, or one for each task that is learned alone.
func (e *Experiment) pieces(t Trial) []Trial {
	if t.Method.Alone == 0 {
		return []Trial{t}
	}
	var all []Trial
	for _, name := range e.taskNames() {
		piece := t
		piece.Task, piece.Steps, piece.Method.Alone = name, e.aloneSteps(t.Method, t.Steps), 0
		all = append(all, piece)
	}
	return all
}

// aloneSteps are those of each adapter that learns a task alone.
func (e *Experiment) aloneSteps(m Method, steps int) int {
	return int(math.Ceil(m.Alone * float64(steps) / float64(len(e.taskNames()))))
}

// result loads what came out of a trial; false: not all of it is made yet.
func (e *Experiment) result(s store, t Trial) (r TrialResult, done bool, err error) {
	pieces := e.pieces(t)
	results := make([]TrialResult, len(pieces))
	for i, p := range pieces {
		if done, err = load(s.trial(p), &results[i]); !done || err != nil {
			return r, false, err
		}
	}
	if t.Method.Alone == 0 {
		return results[0], true, nil
	}
	return together(t, results), true, nil
}

// together is the result of a trial whose tasks were learned alone: each task's score is that of its
// own adapter, and what else is measured is the mean over them.
func together(t Trial, pieces []TrialResult) TrialResult {
	r := TrialResult{Trial: t, Version: pieces[0].Version, Curve: make([]Point, len(pieces[0].Curve))}
	n := float64(len(pieces))
	for _, p := range pieces {
		r.Trained += p.Trained
		r.Diverged = r.Diverged || p.Diverged
		r.Validation += p.Validation / n
		r.Scores = append(r.Scores, p.Scores...)
		r.Change.add(p.Change, 1/n)
		r.Timing.Seconds += p.Timing.Seconds
		r.Timing.Steps += p.Timing.Steps
		r.Timing.Peak = max(r.Timing.Peak, p.Timing.Peak)
		for i := range min(len(r.Curve), len(p.Curve)) {
			q, c := &r.Curve[i], p.Curve[i]
			q.Step = c.Step * t.Steps / p.Trial.Steps // the part of the run that is over
			q.Validation += c.Validation / n
			q.Letters += c.Letters / n
			q.Exact += c.Exact / n
			q.Relative += c.Relative / n
			q.Scaling += c.Scaling / n
			q.Rank += c.Rank / n
		}
	}
	return r
}

// add adds a part of another change to a mean.
func (c *Change) add(other Change, part float64) {
	c.Relative += part * other.Relative
	c.Scaling += part * other.Scaling
	c.Random += part * other.Random
	c.Rank += part * other.Rank
	if c.Spectrum == nil {
		c.Spectrum = make([]float64, len(other.Spectrum))
	}
	for i := range min(len(c.Spectrum), len(other.Spectrum)) {
		c.Spectrum[i] += part * other.Spectrum[i]
	}
}

// adapters are the folders of those that a trial's tasks were learned by.
func (e *Experiment) adapters(s store, t Trial) (all []string) {
	for _, p := range e.pieces(t) {
		all = append(all, filepath.Join(s.trial(p), adapterFolder))
	}
	return all
}
