package bench

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// GenerateOptions say what generation is measured, and how long.
type GenerateOptions struct {
	Model       string // whatever llama.ReadShape takes
	Storage     llama.LoadOptions
	Adapter     multilora.Config // beside the layers; no Method: none
	Device      string           // as device.Open takes it
	Threads     int              // of the CPU; 0: all
	MemoryLimit int              // bytes; 0: what is free
	// RoundActivations is cpu.Options'.
	RoundActivations bool
	// MatmulPrecision is device.Options'.
	MatmulPrecision cpu.Precision
	Prompt          int // tokens of each
	Tokens          int // that follow each, at least 2
	Rows            int // prompts at once
	Rounds          int
	Kernels         bool // take the time of every kernel of the last round, which costs some itself
	Notice          func(line string)
}

// Generation is how fast a model reads a prompt and writes on. All rates are medians over rounds, and the best.
type Generation struct {
	Device       string `json:"device"`
	Model        string `json:"model"`
	DType        string `json:"dtype"`
	ComputeDType string `json:"compute_dtype"` // of the activations
	Rounded      bool   `json:"round_activations"`
	// MatmulPrecision is how products of f32 were computed.
	MatmulPrecision cpu.Precision `json:"matmul_precision"`
	Method          string        `json:"method,omitempty"` // of the adapter; "": there is none
	Modules         int           `json:"modules,omitempty"`
	Rank            int           `json:"rank,omitempty"` // of each
	Targets         []string      `json:"targets,omitempty"`
	Parameters      int           `json:"parameters"`
	Weights         int           `json:"weight_bytes"` // that each token reads: all but the embedding, unless it is the head too
	Prompt          int           `json:"prompt"`
	Tokens          int           `json:"tokens"`
	Rows            int           `json:"rows"`
	Rounds          int           `json:"rounds"`

	First        float64 `json:"first_token_ms"`
	BestFirst    float64 `json:"best_first_token_ms"`
	PromptRate   float64 `json:"prompt_tokens_per_s"` // of all rows
	BestPrompt   float64 `json:"best_prompt_tokens_per_s"`
	Rate         float64 `json:"tokens_per_s"` // of all rows, of those after the first
	Best         float64 `json:"best_tokens_per_s"`
	Bandwidth    float64 `json:"gb_per_s"` // of weights, at that rate
	PeakBytes    int     `json:"peak_bytes"`
	ScratchBytes int     `json:"scratch_bytes"`

	PromptKernels []KernelTime `json:"prompt_kernels,omitempty"` // longest first
	TokenKernels  []KernelTime `json:"token_kernels,omitempty"`  // of one of the tokens after the first
}

// MeasureGenerate makes a model with random weights and has it continue prompts of random words, greedily, as
// agora generate would, but for an end: each text has as many tokens as are asked for.
func MeasureGenerate(ctx context.Context, o GenerateOptions) (r Generation, err error) {
	shape, err := llama.ReadShape(o.Model)
	if err != nil {
		return r, err
	}
	if n := o.Prompt + o.Tokens; n > shape.MaxPositions {
		return r, fmt.Errorf("--prompt and --tokens: want at most %d together, which %s takes, got %d",
			shape.MaxPositions, o.Model, n)
	}
	open := device.Options{Threads: o.Threads, MemoryLimit: o.MemoryLimit, RoundActivations: o.RoundActivations,
		MatmulPrecision: o.MatmulPrecision, Notice: o.Notice}
	var profile bytes.Buffer
	if o.Kernels {
		open.Profile = &profile
	}
	b, err := device.OpenBackend(o.Device, open)
	if err != nil {
		return r, err
	}
	d := tensor.NewDevice(b)
	var prompt, tokens *clock
	if o.Kernels {
		var counts func() vulkan.Counts
		if b, ok := b.(interface{ Counts() vulkan.Counts }); ok {
			counts = b.Counts
		}
		prompt, tokens = newClock(d, counts, &profile), newClock(d, counts, &profile)
	}
	if err = closeAfter(d, r.measure(ctx, d, shape, o, prompt, tokens)); err != nil || !o.Kernels {
		return r, err
	}
	if r.PromptKernels, err = prompt.times(1); err == nil {
		r.TokenKernels, err = tokens.times(o.Tokens - 1)
	}
	return r, err
}

// idleBytes are those of a mixture's experts that so many tokens at once leave alone, if each chooses others.
func idleBytes(m *llama.Model, tokens int) (bytes int) {
	for _, block := range m.Blocks {
		moe := block.Mixture()
		if moe == nil {
			continue
		}
		for _, expert := range moe.Experts[min(tokens*moe.Chosen, len(moe.Experts)):] {
			for _, p := range nn.Params(expert) {
				bytes += p.Value.DType().Bytes(p.Value.Numel())
			}
		}
	}
	return bytes
}

// measure has clocks where kernels are timed.
func (r *Generation) measure(ctx context.Context, d *tensor.Device, shape llama.Config, o GenerateOptions,
	prompt, tokens *clock) error {
	m, err := randomModel(d, shape, o.Storage)
	if err != nil {
		return err
	}
	if o.Adapter.Method != "" {
		if err := randomAdapter(m, o.Adapter); err != nil {
			return err
		}
	}
	*r = Generation{
		Device: d.Name(), Model: o.Model, DType: o.Storage.DType.String(), ComputeDType: m.DType().String(),
		Rounded: o.RoundActivations && device.RoundsActivations(d), MatmulPrecision: device.MatmulPrecision(d),
		Prompt: o.Prompt, Tokens: o.Tokens, Rows: o.Rows, Rounds: o.Rounds, Method: string(o.Adapter.Method),
	}
	if r.Method != "" {
		r.Modules, r.Rank, r.Targets = o.Adapter.Modules, o.Adapter.Rank, o.Adapter.Targets
	}
	for _, p := range nn.Params(m) {
		r.Parameters += p.Value.Numel()
		if p != m.Embedding.Weight || shape.Tied {
			r.Weights += p.Value.DType().Bytes(p.Value.Numel())
		}
	}
	r.Weights -= idleBytes(m, o.Rows)
	words := random.NewStream(1, random.Test, 1, 0)
	prompts := make([][]int32, o.Rows)
	for i := range prompts {
		for range o.Prompt {
			prompts[i] = append(prompts[i], int32(words.IntN(shape.Vocab)))
		}
	}
	var first, rest []float64 // ms
	d.Trim()
	runtime.GC() // what making a model has left is not collected while texts are timed
	d.ResetPeak()
	for round := range o.Rounds + 1 { // the first compiles, and fills the caches
		timed := prompt != nil && round == o.Rounds
		if timed {
			prompt.start()
		}
		begin := time.Now()
		var began time.Time // the second token
		for _, err := range m.GenerateBatch(ctx, prompts, llama.GenerateOptions{MaxTokens: o.Tokens}) {
			if err != nil {
				return err
			}
			if began.IsZero() {
				if timed {
					prompt.pause()
					prompt.stop()
					tokens.start()
				}
				began = time.Now()
			}
		}
		if timed {
			tokens.pause()
			tokens.stop()
		}
		if round > 0 {
			first, rest = append(first, ms(began.Sub(begin))), append(rest, ms(time.Since(began)))
		}
	}
	r.First, r.BestFirst = median(first), slices.Min(first)
	perSecond := func(tokens int, ms float64) float64 { return float64(tokens*o.Rows) / ms * 1e3 }
	r.PromptRate, r.BestPrompt = perSecond(o.Prompt, r.First), perSecond(o.Prompt, r.BestFirst)
	r.Rate, r.Best = perSecond(o.Tokens-1, median(rest)), perSecond(o.Tokens-1, slices.Min(rest))
	r.Bandwidth = r.Rate / float64(o.Rows) * float64(r.Weights) / 1e9
	stats := d.Stats()
	r.PeakBytes, r.ScratchBytes = stats.Peak, stats.Scratch
	return d.Err()
}
