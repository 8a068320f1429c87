package train

import (
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/random"
)

// shape of a model and its batches.
type shape struct {
	name                                                     string
	dim, hidden, layers, heads, kvHeads, vocab, tokens, rows int
}

// shapes: stories260K, and llama2.c's of 15 million parameters.
var shapes = []shape{
	{"260k", 64, 172, 5, 8, 4, 512, 512, 4},
	{"15m", 288, 768, 6, 6, 6, 32000, 256, 8},
}

// BenchmarkStep measures a MultiLoRA step, 3 × rank 32 on all linear layers, on rows
// without padding: in text every token counts, in instructions the second half of a row.
func BenchmarkStep(b *testing.B) {
	step := func(t *Trainer, batches []data.Batch) error {
		_, err := t.Step(batches)
		return err
	}
	for _, s := range shapes {
		b.Run(s.name+"/text", func(b *testing.B) { s.measure(b, 0, step) })
		b.Run(s.name+"/instructions", func(b *testing.B) { s.measure(b, s.tokens/2, step) })
	}
}

// BenchmarkEvaluate measures the loss of BenchmarkStep's texts.
func BenchmarkEvaluate(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			s.measure(b, 0, func(t *Trainer, batches []data.Batch) error {
				_, err := Evaluate(b.Context(), t.Model, batches)
				return err
			})
		})
	}
}

// measure measures what a trainer does with a batch of rows that begin with a prompt of so many tokens.
func (s shape) measure(b *testing.B, prompt int, do func(*Trainer, []data.Batch) error) {
	d, err := device.Open("cpu")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	m, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: s.vocab, Hidden: s.dim, Intermediate: s.hidden, Layers: s.layers,
		Heads: s.heads, KVHeads: s.kvHeads, HeadDim: s.dim / s.heads, MaxPositions: s.tokens,
		NormEps: 1e-5, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, Tied: true, BOS: 1, EOS: []int32{2},
	}, 1)
	if err != nil {
		b.Fatal(err)
	}
	cfg := multilora.Defaults()
	cfg.Rank, cfg.Alpha = 32, 32
	if _, err := multilora.Attach(m, cfg, 1); err != nil {
		b.Fatal(err)
	}
	params, err := optim.Gather(d, m)
	if err != nil {
		b.Fatal(err)
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		b.Fatal(err)
	}
	t := Trainer{Device: d, Model: m, Trainable: params, Optimizer: adam, Schedule: optim.Constant(0), LR: 1e-4,
		ClipNorm: 1}
	r := random.NewStream(1, random.Test, 0, 0)
	rows := make([]data.Sequence, s.rows)
	for i := range rows {
		ids := make([]int32, s.tokens+1)
		for j := range ids {
			ids[j] = int32(r.IntN(s.vocab))
		}
		rows[i] = data.NewSequence(ids[:prompt], ids[prompt:], s.tokens)
	}
	batches := []data.Batch{data.Collate(rows)}
	for b.Loop() {
		if err := do(&t, batches); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*s.rows*s.tokens)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(d.Stats().Peak)/(1<<20), "peak-MiB")
}
