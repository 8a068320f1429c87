package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// Config says everything about one fine-tuning run. Defaults gives good values for
// what a user need not decide.
type Config struct {
	Model string // folder of the base model, in Hugging Face's form, or GGUF file
	Data  string // Alpaca-style JSON or JSONL, plain or .gz
	Out   string // folder of the adapter and the metrics

	Adapter multilora.Config

	Steps       int     // optimizer steps
	BatchRows   int     // rows of one micro-batch
	Accumulate  int     // micro-batches of one step
	MaxTokens   int     // longer rows are cut
	LR          float64 // peak learning rate
	ScaleLR     float64 // factor on LR for the scales s
	WeightDecay float64 // of A and B
	Schedule    string  // constant, linear or cosine
	WarmupSteps int
	ClipNorm    float64 // largest norm of the gradient; 0: no clipping
	Seed        uint64

	HeldOut   int // rows kept out of training to measure the loss on; 0: none
	EvalEvery int // steps between measurements; 0: only before and after

	DType      tensor.DType // storage of frozen weights and activations; these are f32 beside q8 and q4
	Checkpoint bool         // recompute each block on the way back: less memory, a third more time
}

// Defaults are the values of every setting that has a sensible one.
func Defaults() Config {
	return Config{
		Adapter: multilora.Defaults(),
		Steps:   300, BatchRows: 4, Accumulate: 1, MaxTokens: 512,
		LR: 3e-4, ScaleLR: 1, WeightDecay: 0, Schedule: "cosine", WarmupSteps: 10, ClipNorm: 1,
		HeldOut: 64,
	}
}

// Validate reports the first setting that cannot be, by its flag's name.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value string
	}{{"model", c.Model}, {"data", c.Data}, {"out", c.Out}} {
		if f.value == "" {
			return fmt.Errorf("--%s is missing", f.name)
		}
	}
	return c.validateSteps()
}

func (c Config) validateSteps() error {
	for _, f := range []struct {
		name       string
		value, min int
	}{
		{"steps", c.Steps, 1}, {"batch-rows", c.BatchRows, 1}, {"accumulate", c.Accumulate, 1}, {"max-tokens", c.MaxTokens, 2},
		{"warmup-steps", c.WarmupSteps, 0}, {"held-out", c.HeldOut, 0}, {"eval-every", c.EvalEvery, 0},
	} {
		if f.value < f.min {
			return fmt.Errorf("--%s %d: want at least %d", f.name, f.value, f.min)
		}
	}
	for _, f := range []struct {
		name  string
		value float64
	}{{"lr", c.LR}, {"scale-lr", c.ScaleLR}, {"weight-decay", c.WeightDecay}, {"clip-norm", c.ClipNorm}} {
		if !(f.value >= 0) || math.IsInf(f.value, 0) {
			return fmt.Errorf("--%s %v: want a finite number of at least 0", f.name, f.value)
		}
	}
	if c.ScaleLR == 0 {
		return errors.New("--scale-lr 0: want a positive factor (with scales of 0 the adapter would stay the base model)")
	}
	if c.WarmupSteps > c.Steps {
		return fmt.Errorf("--warmup-steps %d: want at most the %d of --steps", c.WarmupSteps, c.Steps)
	}
	if c.Steps > math.MaxUint32/c.Accumulate { // each micro-batch has random numbers of its own
		return fmt.Errorf("--steps %d with --accumulate %d: want at most %d micro-batches", c.Steps, c.Accumulate, uint32(math.MaxUint32))
	}
	if c.DType == tensor.F64 || !c.DType.IsFloat() && !c.DType.IsQuantised() {
		return fmt.Errorf("--dtype %s: want f32, bf16, f16, q8 or q4", c.DType)
	}
	if _, err := optim.NewSchedule(c.Schedule, c.WarmupSteps, c.Steps); err != nil {
		return fmt.Errorf("--schedule: %w", err)
	}
	return c.Adapter.Validate()
}
