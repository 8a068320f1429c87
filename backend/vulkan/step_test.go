package vulkan_test

import (
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// newTrainer is a tiny LLaMA with random weights and a MultiLoRA adapter.
func newTrainer(t testing.TB, d *tensor.Device, layers int) *train.Trainer {
	t.Helper()
	m, err := tinymodel.NewTraining(d, tinymodel.Options{Layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	return trainerOf(m)
}

func trainerOf(m tinymodel.Training) *train.Trainer {
	return &train.Trainer{
		Device: m.Model.Device(), Model: m.Model, Trainable: m.Trainable, Optimizer: m.Optimizer,
		Schedule: optim.Constant(0), LR: 3e-3, ClipNorm: 1, Seed: 7,
	}
}

// A token that is generated is one upload and one read as well.
func TestCountsOfAToken(t *testing.T) {
	b, counts := vulkan.OpenNull()
	d := tensor.NewDevice(b)
	decoder := newTrainer(t, d, 2).Model.NewDecoder(1, 8)
	var before vulkan.Counts
	for _, ids := range [][]int32{{5, 6, 7}, {8}} {
		before = counts()
		if _, err := decoder.Step([][]int32{ids}); err != nil {
			t.Fatal(err)
		}
	}
	if got := counts().Since(before); got.Writes != 1 || got.Reads != 1 || got.Waits != 1 {
		t.Errorf("a token is %+v, want one write, read and wait", got)
	}
	decoder.Close()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// What a training step asks of the device, counted on one that does nothing: the batch goes
// there at once, and the step waits for the device once, for the losses and the gradient's norm, also where
// it may have to be skipped; other waits are for a submission three before the next one. A change here is a change of the engine: more barriers mean that
// less runs side by side, and a longer chain that less could.
func TestCountsOfAStep(t *testing.T) {
	for _, tt := range []struct {
		name   string
		layers int
		rows   int // of a micro-batch
		scaled bool
		want   vulkan.Counts
	}{
		{"one batch", 2, 8, false, vulkan.Counts{Dispatches: 137, Barriers: 68, Writes: 1, Reads: 2, Submissions: 4,
			Waits: 2, Chain: 68}},
		{"two micro-batches", 2, 4, false,
			vulkan.Counts{Dispatches: 272, Barriers: 127, Writes: 2, Reads: 3, Submissions: 5, Waits: 3, Chain: 119}},
		{"twelve layers", 12, 8, false, vulkan.Counts{Dispatches: 737, Barriers: 356, Writes: 1, Reads: 2,
			Submissions: 6, Waits: 4, Chain: 358}},
		{"loss scaling", 2, 8, true, vulkan.Counts{Dispatches: 139, Barriers: 70, Writes: 1, Reads: 2, Submissions: 4,
			Waits: 2, Chain: 70}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, counts := vulkan.OpenNull()
			b.(interface{ CountChain() }).CountChain()
			d := tensor.NewDevice(b)
			tr := newTrainer(t, d, tt.layers)
			if tt.scaled {
				var err error
				if tr.LossScale, err = train.NewLossScale(1 << 16); err != nil {
					t.Fatal(err)
				}
			}
			batches := data.Batches(tinymodel.Rows(8, 1), tt.rows)
			var before vulkan.Counts
			for range 3 {
				before = counts()
				if _, err := tr.Step(batches); err != nil {
					t.Fatal(err)
				}
			}
			tt.want.Calls = tt.want.Dispatches // each has something to do
			if got := counts().Since(before); got != tt.want {
				t.Errorf("a step is %+v, want %+v", got, tt.want)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
