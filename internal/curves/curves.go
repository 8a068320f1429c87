// Package curves shows how runs went: the numbers of their metrics.jsonl as a picture,
// in a terminal, or summed up.
package curves

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/train"
)

// The curves of a run, by their names in metrics.jsonl.
const (
	Loss         = "loss"
	HeldOutLoss  = "held_out_loss"
	LR           = "lr"
	GradNorm     = "grad_norm"
	TokensPerSec = "tokens_per_s"
)

// kind is what is known of a curve before any run.
type kind struct {
	name, title, unit string
	value             func(train.Record) *float64 // nil: the record says nothing of it
	heldOut           string                      // the curve of held-out rows that stands beside a loss
}

var kinds = []kind{
	{name: Loss, title: "Loss", unit: natsAToken, heldOut: HeldOutLoss,
		value: func(r train.Record) *float64 { return r.Loss }},
	{name: HeldOutLoss, title: "Held-out loss", unit: natsAToken,
		value: func(r train.Record) *float64 { return r.HeldOutLoss }},
	{name: LR, title: "Learning rate", value: ofStep(func(r *train.Record) *float64 { return &r.LR })},
	{name: GradNorm, title: "Gradient norm", unit: "before clipping",
		value: ofStep(func(r *train.Record) *float64 { return &r.GradNorm })},
	{name: TokensPerSec, title: "Speed", unit: "tokens/s",
		value: ofStep(func(r *train.Record) *float64 { return &r.TokensPerSec })},
}

const natsAToken = "nats a token" // of losses

// TaskLoss and TaskHeldOutLoss name the curves of a task of a mixture.
func TaskLoss(task string) string        { return "tasks." + task + ".loss" }
func TaskHeldOutLoss(task string) string { return "tasks." + task + ".held_out_loss" }

// scoreKind is the curve of a task's scores.
func scoreKind(task string) kind {
	return kind{name: "scores." + task, title: "Score of " + printable.Name(task),
		value: func(r train.Record) *float64 {
			if score, ok := r.Scores[task]; ok {
				return &score
			}
			return nil
		}}
}

// taskKinds are the curves of a task.
func taskKinds(task string) []kind {
	value := func(step bool) func(train.Record) *float64 {
		return func(r train.Record) *float64 {
			if l, ok := r.Tasks[task]; ok && step == (r.Loss != nil) {
				return &l.Loss
			}
			return nil
		}
	}
	return []kind{
		{name: TaskLoss(task), title: "Loss of " + printable.Name(task), unit: natsAToken,
			heldOut: TaskHeldOutLoss(task), value: value(true)},
		{name: TaskHeldOutLoss(task), value: value(false)},
	}
}

// ofStep is a value of the records of steps, which are those with a loss.
func ofStep(value func(*train.Record) *float64) func(train.Record) *float64 {
	return func(r train.Record) *float64 {
		if r.Loss == nil {
			return nil
		}
		return value(&r)
	}
}

// Run is a run's curves.
type Run struct {
	Name   string // of its folder
	Path   string // as given
	curves map[string]Curve
	tasks  map[string]bool // of a mixture, by name
	scores map[string]bool // of tasks, by name
}

// Curve is a value over the steps of a run.
type Curve struct {
	Steps, Values []float64
}

// Curve is the run's curve of that name, empty if there is none.
func (r Run) Curve(name string) Curve { return r.curves[name] }

// Read reads the metrics of runs: folders, or metrics.jsonl files.
func Read(paths []string) ([]Run, error) {
	var runs []Run
	names := map[string]int{}
	for _, path := range paths {
		records, err := train.ReadMetrics(path)
		if err != nil {
			return nil, err
		}
		r := Run{
			Name: folderName(path), Path: path,
			curves: map[string]Curve{}, tasks: map[string]bool{}, scores: map[string]bool{},
		}
		for _, record := range records {
			for task := range record.Tasks {
				r.tasks[task] = true
			}
			for task := range record.Scores {
				r.scores[task] = true
			}
		}
		all := append(slices.Clone(kinds), preferenceKinds()...)
		for task := range r.scores {
			all = append(all, scoreKind(task))
		}
		for task := range r.tasks {
			all = append(all, taskKinds(task)...)
		}
		for _, k := range all {
			var c Curve
			for _, record := range records {
				if v := k.value(record); v != nil {
					c.Steps, c.Values = append(c.Steps, float64(record.Step)), append(c.Values, *v)
				}
			}
			if len(c.Steps) > 0 {
				r.curves[k.name] = c
			}
		}
		if len(r.curves) == 0 {
			return nil, fmt.Errorf("%s: want at least one record of a loss, got none", path)
		}
		names[r.Name]++
		runs = append(runs, r)
	}
	for i := range runs {
		if names[runs[i].Name] > 1 {
			runs[i].Name = runs[i].Path
		}
	}
	return runs, nil
}

// folderName is the last part of the path of a run's folder, of "." too.
func folderName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if filepath.Base(path) == train.MetricsFile {
		path = filepath.Dir(path)
	}
	return filepath.Base(path)
}
