package toy

import (
	"context"
	"fmt"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

// train makes steps on fresh rows that hold every task in equal parts. All runs for one
// purpose see the same rows.
func (x *experiment) train(ctx context.Context, tasks []Task, purpose uint32, rate float64,
	groups ...optim.Group) error {
	params, err := optim.Gather(x.device, x.model, groups...)
	if err != nil {
		return err
	}
	adam, err := optim.New(params, optim.AdamW{Betas: [2]float32{0.9, 0.99}, Eps: 1e-8})
	if err != nil {
		return err
	}
	t := train.Trainer{
		Device: x.device, Model: x.model, Trainable: params, Optimizer: adam,
		Schedule: optim.Cosine(min(20, x.Steps), x.Steps), LR: rate, ClipNorm: 1, Seed: x.Seed,
	}
	r := stream(x.Seed, purpose)
	for range x.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := t.Step([]data.Batch{data.Collate(x.sequences(rows(tasks, x.BatchRows, r)))}); err != nil {
			return err
		}
		x.done++
		x.progress.Step(x.done, x.steps())
	}
	return nil
}

// steps are those of the whole experiment.
func (x *experiment) steps() int { return x.Steps * (1 + 2*len(x.Rates)) }

// trainable is the number of parameters that train would train.
func (x *experiment) trainable() int {
	n := 0
	for _, p := range nn.Params(x.model) {
		if !p.Frozen {
			n += p.Value.Numel()
		}
	}
	return n
}

// sequences are rows as the model reads them, with the loss on the completions.
func (x *experiment) sequences(rows []Row) []data.Sequence {
	all := make([]data.Sequence, len(rows))
	for i, r := range rows {
		prompt, completion := tokenizer.EncodeWithBOS(x.tok, r.Prompt),
			append(x.tok.Encode(r.Completion), synthetic.EOS)
		all[i] = data.NewSequence(prompt, completion, x.model.Config.MaxPositions)
	}
	return all
}

// adapted is the best adapter of one method.
type adapted struct {
	MethodReport
	adapter *multilora.Adapter
	scores  []BaseScore
}

// adapt trains an adapter at every rate, keeps the one with the lowest loss on the
// validation rows, and scores that on the test rows.
func (x *experiment) adapt(ctx context.Context, method multilora.Method, modules, rank int) (best adapted, err error) {
	best.Method, best.Modules, best.Rank = method, modules, rank
	for _, rate := range x.Rates {
		a, err := multilora.Attach(x.model, multilora.Config{
			Method: method, Modules: modules, Rank: rank, Alpha: float64(rank),
			Scaling: multilora.ScalingScalar, Targets: []string{multilora.AllLinear},
		}, x.Seed)
		if err != nil {
			return best, err
		}
		best.Trained = x.trainable()
		var scalings []optim.Group
		if method == multilora.MethodMultiLoRA {
			scalings = []optim.Group{{Match: "*.s", LRFactor: float32(x.ScaleLR)}}
		}
		if err := x.train(ctx, NewTasks, forAdapters, rate, scalings...); err != nil {
			return best, err
		}
		loss, err := train.Evaluate(ctx, x.model, x.validation)
		if err != nil {
			return best, err
		}
		best.Rates = append(best.Rates, RateReport{rate, loss})
		x.progress.Say(fmt.Sprintf("  %-9s  %d × rank %-2d  learning rate %-5g  validation loss %.4f", method,
			modules, rank, rate, loss))
		a.Detach()
		if best.adapter == nil || loss < best.ValidationLoss {
			best.adapter, best.Rate, best.ValidationLoss = a, rate, loss
		}
	}
	if err := best.adapter.Attach(); err != nil {
		return best, err
	}
	defer best.adapter.Detach()
	if err := best.addSpectra(best.adapter); err != nil {
		return best, err
	}
	best.scores, err = x.score(ctx, NewTasks)
	return best, err
}
