// Package curves shows how runs went: the numbers of their metrics.jsonl as a picture,
// in a terminal, or summed up.
package curves

import (
	"fmt"
	"path/filepath"

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
}

var kinds = []kind{
	{Loss, "Loss", "nats a token", func(r train.Record) *float64 { return r.Loss }},
	{HeldOutLoss, "Held-out loss", "nats a token", func(r train.Record) *float64 { return r.HeldOutLoss }},
	{LR, "Learning rate", "", ofStep(func(r *train.Record) *float64 { return &r.LR })},
	{GradNorm, "Gradient norm", "before clipping", ofStep(func(r *train.Record) *float64 { return &r.GradNorm })},
	{TokensPerSec, "Speed", "tokens/s", ofStep(func(r *train.Record) *float64 { return &r.TokensPerSec })},
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
		r := Run{Name: folderName(path), Path: path, curves: map[string]Curve{}}
		for _, k := range kinds {
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
