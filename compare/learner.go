package compare

import (
	"context"
	"io"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/train"
)

// learner makes the steps of one run.
type learner struct {
	trainer train.Trainer
	next    func() data.Sequence
	rows    int // of a step
	micro   int // of a micro-batch
}

func newLearner(
	model *llama.Model, trainable *optim.Trainable, recipe Training, steps int, lr float64, seed uint64, m *material,
) (*learner, error) {
	adam, err := optim.New(trainable, optim.AdamW{Betas: [2]float32{0.9, 0.999}, Eps: 1e-8})
	if err != nil {
		return nil, err
	}
	schedule, err := optim.NewSchedule(recipe.Schedule, recipe.Warmup, steps)
	if err != nil {
		return nil, err
	}
	l := &learner{next: m.rows(seed, m.own), rows: recipe.BatchRows, micro: recipe.MicroRows}
	if l.micro == 0 {
		l.micro = l.rows
	}
	l.trainer = train.Trainer{
		Device: model.Device(), Model: model, Trainable: trainable, Optimizer: adam,
		Schedule: schedule, LR: lr, ClipNorm: recipe.ClipNorm, Seed: seed,
	}
	return l, nil
}

// step learns the next rows.
func (l *learner) step(ctx context.Context) (train.StepResult, error) {
	if err := ctx.Err(); err != nil {
		return train.StepResult{}, err
	}
	rows := make([]data.Sequence, l.rows)
	for i := range rows {
		rows[i] = l.next()
	}
	return l.trainer.Step(data.Batches(rows, l.micro))
}

// parameters counts a model's numbers.
func parameters(model *llama.Model) (n int) {
	for _, p := range nn.Params(model) {
		n += p.Value.Numel()
	}
	return n
}

// trained counts the numbers that train.
func trained(model *llama.Model) (n int) {
	for _, p := range nn.Params(model) {
		if !p.Frozen {
			n += p.Value.Numel()
		}
	}
	return n
}

func writeBytes(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(append(content, '\n'))
		return err
	}
}
