package bench

import (
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
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

const vocabulary = 101

func newModel(d *tensor.Device) (*model, error) {
	m, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: vocabulary, Hidden: 32, Intermediate: 72, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.2, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}, 5)
	if err != nil {
		return nil, err
	}
	cfg := multilora.Defaults()
	cfg.Rank, cfg.Alpha = 4, 8
	if _, err := multilora.Attach(m, cfg, 6); err != nil {
		return nil, err
	}
	params, err := optim.Gather(d, m)
	if err != nil {
		return nil, err
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		return nil, err
	}
	t := &train.Trainer{
		Device: d, Model: m, Trainable: params, Optimizer: adam, Schedule: optim.Constant(0), LR: 3e-3, ClipNorm: 1, Seed: 7,
	}
	return &model{t, data.Batches(rows(), 8)}, nil
}

func rows() (list []data.Sequence) {
	r := random.NewStream(1, random.Test, 0, 0)
	for i := range 8 {
		prompt, answer := make([]int32, 17+2*i), make([]int32, 16+2*i)
		for _, s := range [][]int32{prompt, answer} {
			for j := range s {
				s[j] = int32(r.IntN(vocabulary))
			}
		}
		list = append(list, data.NewSequence(prompt, answer, 64))
	}
	return list
}

// step ends when the loss has been read.
func (m *model) step() error {
	_, err := m.trainer.Step(m.batches)
	return err
}
