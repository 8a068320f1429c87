package compare

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// SpeedRow is what a step of a method costs.
type SpeedRow struct {
	Method          string  `json:"method"`
	Seconds         float64 `json:"seconds"`           // of a step, the median over rounds
	TokensPerSecond float64 `json:"tokens_per_second"` // padding apart
	Peak            int     `json:"peak"`              // most bytes in tensors
	// Ratio is the time of a step in those of the first method's step in the same round.
	Ratio Difference `json:"ratio"`
}

// speedSpec decides what is measured; the machine is no part of it.
type speedSpec struct {
	Base    BaseSpec
	Train   Training
	Methods []Method
	Speed   Speed
}

// measured is one round of a method.
type measured struct{ seconds, tokens, peak float64 }

// timed are the methods whose steps are measured: those of all tasks together, with parameters of their own.
func (e *Experiment) timed() (all []Method) {
	for _, m := range e.Methods {
		if m.Alone == 0 && m.From == "" {
			all = append(all, m)
		}
	}
	return all
}

// speed measures the methods in turns, one at a time, so that what else the machine does hits all alike.
func (x *runner) speed(ctx context.Context, r *Results) ([]SpeedRow, error) {
	e := x.experiment
	if e.Speed.Rounds == 0 {
		return nil, nil
	}
	methods := e.timed()
	spec := speedSpec{e.bases()[0], e.Train, methods, e.Speed}
	dir := filepath.Join(x.store.dir, digest(spec, "speed"))
	var rows []SpeedRow
	if done, err := load(dir, &rows); done || err != nil {
		return rows, err
	}
	steps := e.Train.Steps[0]
	x.say("measuring the time of steps, %d rounds", e.Speed.Rounds)
	all := make([][]measured, len(methods))
	for range e.Speed.Rounds {
		for i, m := range methods {
			one, err := x.round(ctx, e.trial(m, r.rates(steps)[m.Name], nil, steps, 0, e.Seeds.Tune[0], false))
			if err != nil {
				return nil, fmt.Errorf("speed of %s: %w", m.Name, err)
			}
			all[i] = append(all[i], one)
		}
	}
	for i, m := range methods {
		rows = append(rows, speedRow(m.Name, all[i], all[0]))
	}
	return rows, save(dir, rows, nil)
}

func speedRow(method string, own, first []measured) SpeedRow {
	row := SpeedRow{Method: method}
	var seconds, ratios, ones []float64
	tokens := 0.0
	for i, m := range own {
		seconds, ratios = append(seconds, m.seconds), append(ratios, m.seconds/first[i].seconds)
		row.Peak = max(row.Peak, int(m.peak))
		tokens += m.tokens / float64(len(own))
	}
	ones = make([]float64, len(ratios))
	row.Ratio = Paired(ratios, ones)
	slices.Sort(seconds)
	n := len(seconds)
	row.Seconds = (seconds[(n-1)/2] + seconds[n/2]) / 2
	row.TokensPerSecond = tokens / row.Seconds
	return row
}

// warmSteps are made before time is taken.
const warmSteps = 2

// round measures a method's steps, on a device of its own.
func (x *runner) round(ctx context.Context, t Trial) (m measured, err error) {
	d, err := x.options.Open()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	model, err := x.store.open(ctx, d, t.Base)
	if err != nil {
		return m, err
	}
	_, trainable, err := t.Method.start(model, t.Seed)
	if err != nil {
		return m, err
	}
	l, err := newLearner(model, trainable, t.Train, t.Steps, t.LR, t.Seed, x.material)
	if err != nil {
		return m, err
	}
	steps := x.experiment.Speed.Steps
	d.ResetPeak()
	var start time.Time
	for i := range warmSteps + steps {
		if i == warmSteps {
			start = time.Now()
		}
		result, err := l.step(ctx)
		if err != nil {
			return m, err
		}
		if i >= warmSteps {
			m.tokens += float64(result.Tokens) / float64(steps)
		}
	}
	m.seconds = time.Since(start).Seconds() / float64(steps)
	m.peak = float64(d.Stats().Peak)
	return m, nil
}
