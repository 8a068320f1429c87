// Package toy is the experiment that agora demo runs: a small LLaMA learns simple tasks
// on strings of letters from scratch, then LoRA and MultiLoRA of the same total rank
// teach it new ones. It needs nothing on disk, and about a minute.
//
//	d, err := device.Open("auto")
//	result, err := toy.Run(ctx, d, toy.Defaults(), progress)
//	fmt.Println(result.Report.Scores)
//	err = result.Save("toy") // a model, its data and its adapters, to try the commands on
package toy

import (
	"context"
	"fmt"
	"time"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// Config is the size of the experiment.
type Config struct {
	Steps     int       // training steps of the base model, and of each adapter at each rate
	BatchRows int       // rows of a step
	Modules   int       // of MultiLoRA; LoRA has one
	Rank      int       // of MultiLoRA's modules; LoRA's one has Modules times as much
	Rates     []float64 // learning rates that each method is tried with
	ScaleLR   float64   // times the rate, of MultiLoRA's scalings
	TestRows  int       // that each task is scored on
	Seed      uint64    // of everything random
}

// Defaults is the experiment of agora demo. The scalings' rates lie between 0.01 and 0.05, where MultiLoRA did
// best in trials: it is that rate which decides how large the scalings become.
func Defaults() Config {
	return Config{
		Steps: 600, BatchRows: 30, Modules: 3, Rank: 4, Rates: []float64{5e-3, 1e-2, 2e-2}, ScaleLR: 2, TestRows: 128,
	}
}

// Validate returns an error for the first field that is invalid.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"steps", c.Steps}, {"batch rows", c.BatchRows}, {"modules", c.Modules}, {"rank", c.Rank},
		{"rates", len(c.Rates)}, {"test rows", c.TestRows},
	} {
		if f.value < 1 {
			return fmt.Errorf("toy: %s: want at least 1, got %d", f.name, f.value)
		}
	}
	if !(c.ScaleLR > 0) {
		return fmt.Errorf("toy: scale-lr: want a positive number, got %g", c.ScaleLR)
	}
	return nil
}

const baseRate = 3e-3

// The random numbers of rows, by what the rows are for: steps of random.Test.
const (
	forBase uint32 = iota
	forAdapters
	forValidation
	forTest // and one more for each task
)

func stream(seed uint64, purpose uint32) *random.Stream {
	return random.NewStream(seed, random.Test, purpose, 0)
}

// Result is what the experiment made and measured. It lives as long as the device.
type Result struct {
	Report    Report
	Model     *llama.Model // the base; no adapter is attached
	LoRA      *multilora.Adapter
	MultiLoRA *multilora.Adapter
	seed      uint64
}

// experiment is a run on its way.
type experiment struct {
	Config
	device     *tensor.Device
	tok        tokenizer.Tokenizer
	model      *llama.Model
	validation []data.Batch // of the new tasks
	progress   Progress
	done       int // training steps of all runs
}

// Progress is told how the experiment goes on.
type Progress interface {
	Say(line string)
	Step(done, of int) // training steps of all runs together
}

// Run makes the experiment. The same seed gives the same numbers, whatever the number of
// threads. It ends with ctx's error when ctx ends.
func Run(ctx context.Context, d *tensor.Device, cfg Config, p Progress) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	start := time.Now()
	file, err := synthetic.TokenizerJSON(characters())
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.ParseJSON(file)
	if err != nil {
		return nil, err
	}
	x := experiment{Config: cfg, device: d, tok: tok, progress: p}
	r := &Result{seed: cfg.Seed, Report: Report{Steps: cfg.Steps, TestRows: cfg.TestRows}}
	if x.model, err = llama.New(d, x.shape(), cfg.Seed); err != nil {
		return nil, err
	}
	r.Model = x.model
	r.Report.Parameters = x.trainable()
	x.validation = data.Batches(x.sequences(rows(NewTasks, 2*cfg.TestRows, stream(cfg.Seed, forValidation))),
		cfg.TestRows)

	p.Say(fmt.Sprintf("A LLaMA of %d parameters learns from scratch: %s.", r.Report.Parameters, Names(BaseTasks)))
	if err := x.train(ctx, BaseTasks, forBase, baseRate); err != nil {
		return nil, err
	}
	if r.Report.BaseScores, err = x.score(ctx, BaseTasks); err != nil {
		return nil, err
	}
	base, err := x.score(ctx, NewTasks)
	if err != nil {
		return nil, err
	}
	p.Say(fmt.Sprintf("Adapters teach it, all at once: %s.", Names(NewTasks)))
	lora, err := x.adapt(ctx, multilora.MethodLoRA, 1, cfg.Modules*cfg.Rank)
	if err != nil {
		return nil, err
	}
	multi, err := x.adapt(ctx, multilora.MethodMultiLoRA, cfg.Modules, cfg.Rank)
	if err != nil {
		return nil, err
	}
	r.LoRA, r.MultiLoRA = lora.adapter, multi.adapter
	r.Report.Methods = []MethodReport{lora.MethodReport, multi.MethodReport}
	for i, t := range NewTasks {
		r.Report.Scores = append(r.Report.Scores, TaskScore{t.Name, Chance, base[i].Score, lora.scores[i].Score,
			multi.scores[i].Score})
	}
	r.Report.Seconds = time.Since(start).Seconds()
	return r, nil
}

// shape is the base model's.
func (x *experiment) shape() llama.Config {
	return llama.Config{
		ModelType: "llama", Vocab: x.tok.VocabSize(), Hidden: 64, Intermediate: 172, Layers: 2, Heads: 4, KVHeads: 2,
		HeadDim:      16,
		MaxPositions: 32, NormEps: 1e-5, InitRange: 0.1, Tied: true,
		RoPE: ops.RoPEScaling{Theta: 10000}, BOS: synthetic.BOS, EOS: []int32{synthetic.EOS},
	}
}
