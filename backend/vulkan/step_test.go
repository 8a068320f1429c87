package vulkan_test

import (
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// newTrainer is a tiny LLaMA with random weights and a MultiLoRA adapter.
func newTrainer(t testing.TB, d *tensor.Device, layers int) *train.Trainer {
	t.Helper()
	m, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: 101, Hidden: 32, Intermediate: 72, Layers: layers, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.2, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}, 5)
	if err != nil {
		t.Fatal(err)
	}
	cfg := multilora.Defaults()
	cfg.Rank, cfg.Alpha = 4, 8
	if _, err := multilora.Attach(m, cfg, 6); err != nil {
		t.Fatal(err)
	}
	params, err := optim.Gather(d, m)
	if err != nil {
		t.Fatal(err)
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		t.Fatal(err)
	}
	return &train.Trainer{
		Device: d, Model: m, Trainable: params, Optimizer: adam, Schedule: optim.Constant(0), LR: 3e-3, ClipNorm: 1, Seed: 7,
	}
}

// rows are random sequences of unequal length with unequal answers.
func rows(n int) []data.Sequence {
	r := random.NewStream(1, random.Test, 0, 0)
	var out []data.Sequence
	for range n {
		prompt, answer := make([]int32, 2+r.IntN(20)), make([]int32, 1+r.IntN(20))
		for _, s := range [][]int32{prompt, answer} {
			for i := range s {
				s[i] = int32(r.IntN(101))
			}
		}
		out = append(out, data.NewSequence(prompt, answer, 64))
	}
	return out
}

func openCPU(t testing.TB) *tensor.Device {
	b, err := cpu.Open(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// What a training step asks of the device, counted on one that does nothing: the batch goes
// there at once, and the step waits once, for the losses and the gradient's norm, also where
// it may have to be skipped. A change here is a change of the engine: more barriers mean that
// less runs side by side.
func TestCountsOfAStep(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rows   int // of a micro-batch
		scaled bool
		want   vulkan.Counts
	}{
		{"one batch", 8, false, vulkan.Counts{Dispatches: 218, Barriers: 120, Writes: 1, Reads: 2, Submissions: 2, Waits: 1}},
		{"two micro-batches", 4, false, vulkan.Counts{Dispatches: 429, Barriers: 236, Writes: 2, Reads: 3, Submissions: 3, Waits: 1}},
		{"loss scaling", 8, true, vulkan.Counts{Dispatches: 220, Barriers: 122, Writes: 1, Reads: 2, Submissions: 2, Waits: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, counts := vulkan.OpenNull()
			d := tensor.NewDevice(b)
			tr := newTrainer(t, d, 2)
			if tt.scaled {
				var err error
				if tr.LossScale, err = train.NewLossScale(1 << 16); err != nil {
					t.Fatal(err)
				}
			}
			batches := data.Batches(rows(8), tt.rows)
			var before vulkan.Counts
			for range 3 {
				before = counts()
				if _, err := tr.Step(batches); err != nil {
					t.Fatal(err)
				}
			}
			if got := counts().Since(before); got != tt.want {
				t.Errorf("a step is %+v, want %+v", got, tt.want)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
