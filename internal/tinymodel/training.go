package tinymodel

import (
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Training is the parts of a train.Trainer, which is not made here because the tests of
// package train need this one: a model with random weights, a MultiLoRA adapter of rank 4 on
// all its linear layers, and AdamW.
type Training struct {
	Model     *llama.Model
	Adapter   *multilora.Adapter
	Trainable *optim.Trainable
	Optimizer *optim.Optimizer
}

// Options change what NewTraining makes.
type Options struct {
	Layers  int          // 0: those of Config
	DType   tensor.DType // of the base model
	Dropout float64      // of the adapter
}

// NewTraining makes a model ready to train.
func NewTraining(d *tensor.Device, o Options) (t Training, err error) {
	c := Config()
	if o.Layers > 0 {
		c.Layers = o.Layers
	}
	m, err := llama.NewAs(d, c, o.DType, 5)
	if err != nil {
		return t, err
	}
	return TrainingOf(m, o.Dropout)
}

// TrainingOf is NewTraining with a model that is there.
func TrainingOf(m *llama.Model, dropout float64) (t Training, err error) {
	t.Model = m
	cfg := multilora.Defaults()
	cfg.Rank, cfg.Alpha, cfg.Dropout = 4, 8, dropout
	if t.Adapter, err = multilora.Attach(m, cfg, 6); err != nil {
		return t, err
	}
	if t.Trainable, err = optim.Gather(m.Device(), m); err != nil {
		return t, err
	}
	t.Optimizer, err = optim.New(t.Trainable, optim.DefaultAdamW())
	return t, err
}

// Rows are random sequences of unequal length with unequal answers.
func Rows(n int, seed uint64) (list []data.Sequence) {
	r := random.NewStream(seed, random.Test, 0, 0)
	for range n {
		prompt, answer := make([]int32, 2+r.IntN(20)), make([]int32, 1+r.IntN(20))
		list = append(list, Sequence(prompt, answer, r))
	}
	return list
}

// Sequence fills a prompt and an answer with random tokens.
func Sequence(prompt, answer []int32, r *random.Stream) data.Sequence {
	for _, s := range [][]int32{prompt, answer} {
		for i := range s {
			s[i] = int32(r.IntN(vocabulary))
		}
	}
	return data.NewSequence(prompt, answer, Positions)
}
