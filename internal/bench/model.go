package bench

import (
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// model is a LLaMA of two layers of 32 with random weights, a MultiLoRA adapter of
// rank 4 on all linear layers, and 8 rows of 33 to 64 tokens.
type model struct {
	trainer *train.Trainer
	batches []data.Batch
}

func newModel(d *tensor.Device) (*model, error) {
	m, err := tinymodel.NewTraining(d, tinymodel.Options{})
	if err != nil {
		return nil, err
	}
	r := random.NewStream(1, random.Test, 0, 0)
	var rows []data.Sequence
	for i := range 8 {
		rows = append(rows, tinymodel.Sequence(make([]int32, 17+2*i), make([]int32, 16+2*i), r))
	}
	t := &train.Trainer{
		Device: d, Model: m.Model, Trainable: m.Trainable, Optimizer: m.Optimizer,
		Schedule: optim.Constant(0), LR: 3e-3, ClipNorm: 1, Seed: 7,
	}
	return &model{t, data.Batches(rows, 8)}, nil
}

// step ends when the loss has been read.
func (m *model) step() error {
	_, err := m.trainer.Step(m.batches)
	return err
}
