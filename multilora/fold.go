package multilora

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
)

// Fold gives the same adapter as one ordinary LoRA of rank n r, which other programs
// know: A is stacked already, scale and s go into B, alpha is the rank. It is detached;
// the adapter itself stays as it is.
func (a *Adapter) Fold() (*Adapter, error) {
	f := &Adapter{
		Base: a.Base, EOSToken: a.EOSToken, config: a.config, targets: a.targets, saves: a.saves,
		model: a.model, madeFor: a.madeFor, match: a.match, note: a.note,
	}
	f.config.Method, f.config.Scaling, f.config.Start = MethodLoRA, ScalingScalar, ""
	f.config.Modules, f.config.Rank, f.config.Alpha = 1, a.config.TotalRank(), float64(a.config.TotalRank())
	f.config.Ranks, f.config.Alphas = nil, nil
	for _, l := range a.layers {
		rank := a.config.of(l.name).TotalRank()
		f.config.set(l.name, rank, float64(rank))
		f.layers = append(f.layers, adapted{l.slot, &Linear{
			Base: l.base, A: autograd.NewParam(copyOf(l.linear.A.Value)), B: autograd.NewParam(l.linear.scaledB()),
			options: ops.MultiLoRA{Modules: 1, Rank: rank, Scale: 1, Dropout: l.linear.options.Dropout},
		}})
	}
	for _, e := range a.extras {
		copied := *e
		copied.own, copied.in = nn.Param{Value: copyOf(e.value())}, false
		f.extras = append(f.extras, &copied)
	}
	for _, r := range a.tokens {
		f.tokens = append(f.tokens, r.copied())
	}
	return f, a.device().Err()
}
