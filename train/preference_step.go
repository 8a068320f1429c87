package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/preference"
	"github.com/agora-ml/agora/tensor"
)

// preferenceGradients adds the gradients of a step's batches, and puts what they have said into r.
func (t *Trainer) preferenceGradients(r *StepResult, batches []data.Batch, step int) error {
	p := t.Preference
	answers, kl, err := p.beforehand(context.Background(), t.Model, t.processes(), batches, false)
	if err != nil {
		return err
	}
	all := slices.Concat(answers...)
	if p.Objective == KTO && len(all) < 2 {
		return errors.New("train: want at least 2 answers a step with kto, whose prompts are paired with answers of " +
			"others, got 1")
	}
	w := p.totalsOf(all, kl)
	if err := t.addUp(len(batches), func(i int) error {
		return t.preferenceBackward(batches[i], answers[i], w, uint32(step*len(batches)+i))
	}); err != nil {
		return err
	}
	if err := exchange(t.processes(), answers); err != nil {
		return err
	}
	for _, some := range answers {
		loss, _ := p.loss(some, w)
		r.Loss += loss
	}
	all = slices.Concat(answers...) // now with their log-probabilities
	r.Preference = p.metrics(all, kl)
	if t.Tasks > 0 {
		r.ByTask = p.lossesByTask(t.Tasks, all, kl)
	}
	return nil
}

// exchange tells each process what the others' micro-batches have said of their answers.
func exchange(w dist.World, answers [][]judgedAnswer) error {
	each := len(answers) / w.Size()
	var own [][]float64
	for _, some := range answers[w.Rank()*each:][:each] {
		var x []float64
		for _, a := range some {
			x = append(x, a.LogProb, a.prompt.logProb)
		}
		own = append(own, x)
	}
	all, err := joined(w, own)
	if err != nil {
		return err
	}
	for i, some := range answers {
		for k := range some {
			some[k].LogProb, some[k].prompt.logProb = all[i][2*k], all[i][2*k+1]
		}
	}
	return nil
}

// preferenceBackward adds one micro-batch's gradients, and fills in the log-probabilities of its answers.
func (t *Trainer) preferenceBackward(b data.Batch, answers []judgedAnswer, w totals, randomStep uint32) error {
	tape := autograd.NewTape(t.Device)
	defer tape.Close()
	tape.Seed, tape.Step = t.Seed, randomStep
	losses := t.Model.TokenLosses(b.Batch)
	read, err := t.Device.Float64s(losses.Tensor())
	if err != nil {
		return err
	}
	for i, x := range sums(b, read[0]) {
		answers[i].LogProb, answers[i].prompt.logProb = x.answer, x.prompt
	}
	_, byAnswer := t.Preference.loss(answers, w)
	byToken := make([]float32, len(read[0]))
	eachToken(b, func(token, answer int, inPrompt bool) {
		g := -byAnswer[answer]
		if inPrompt { // which is learned as it is
			g = 1 / float64(w.tokens)
		}
		byToken[token] = float32(g) * t.LossScale.scale()
	})
	gradient := t.Device.FromFloat32s(losses.Tensor().DType(), byToken, len(byToken))
	tape.BackwardFrom([]*autograd.Var{losses}, []*tensor.Tensor{gradient})
	return nil
}

// Evaluate is the loss of a model on batches of judged answers, and what else they tell. It ends with ctx's error when
// ctx ends.
func (p *Preference) Evaluate(
	ctx context.Context, m *llama.Model, batches []data.Batch,
) (loss float64, metrics PreferenceMetrics, err error) {
	tensor.NotNil("train.Preference.Evaluate", "a context", ctx)
	tensor.NotNil("train.Preference.Evaluate", "a model", m)
	answers, kl, err := p.evaluate(ctx, m, dist.Alone(), batches)
	if err == nil && len(answers) == 0 {
		err = ErrNothingCounted
	}
	if err != nil {
		return 0, metrics, err
	}
	loss, _ = p.loss(answers, p.totalsOf(answers, kl))
	return loss, *p.metrics(answers, kl), nil
}

// evaluate is what the model and the reference say of all answers, and KTO's divergence.
func (p *Preference) evaluate(
	ctx context.Context, m *llama.Model, w dist.World, batches []data.Batch,
) (answers []judgedAnswer, kl float64, err error) {
	byBatch, kl, err := p.beforehand(ctx, m, w, batches, true)
	return slices.Concat(byBatch...), kl, err
}

// beforehand finds what the losses of batches are compared with before a gradient is computed: the answers with
// their tokens and what the reference says of them, and KTO's divergence. With policy the model's own
// log-probabilities are there, too.
func (p *Preference) beforehand(
	ctx context.Context, m *llama.Model, w dist.World, batches []data.Batch, policy bool,
) (answers [][]judgedAnswer, kl float64, err error) {
	var passes []scoring
	for _, b := range batches {
		some, err := p.answersOf(b)
		if err != nil {
			return nil, 0, err
		}
		answers = append(answers, some)
		if p.Objective.hasReference() {
			passes = append(passes, scoring{b, true, func(i int, x sequenceSum) { some[i].Reference = x.answer }})
		}
		if policy {
			passes = append(passes, scoring{b, false, func(i int, x sequenceSum) {
				some[i].LogProb, some[i].prompt.logProb = x.answer, x.prompt
			}})
		}
	}
	var others []preference.Answer
	if p.Objective == KTO {
		for _, b := range mismatch(batches, cmp.Or(p.MaxTokens, m.Config.MaxPositions)) {
			first := len(others)
			others = append(others, make([]preference.Answer, b.Rows)...)
			passes = append(passes,
				scoring{b, true, func(i int, x sequenceSum) { others[first+i].Reference = x.answer }},
				scoring{b, false, func(i int, x sequenceSum) { others[first+i].LogProb = x.answer }})
		}
	}
	err = p.score(ctx, m, w, passes)
	return answers, preference.KL(others), err
}

// scoring is a pass without a tape: of the model as it is, or of the reference. into is told the log-probability of
// each sequence.
type scoring struct {
	b         data.Batch
	reference bool
	into      func(sequence int, x sequenceSum)
}

// score makes passes, of which each process makes a share, one after the other; those of a process are read at once.
// All make as many, for with shards they need each other: one that has less makes another's for nothing.
func (p *Preference) score(ctx context.Context, m *llama.Model, w dist.World, passes []scoring) error {
	if len(passes) == 0 {
		return nil
	}
	from, to := len(passes)*w.Rank()/w.Size(), len(passes)*(w.Rank()+1)/w.Size()
	own := passes[from:to]
	if each := (len(passes) + w.Size() - 1) / w.Size(); len(own) < each {
		own = append(slices.Clone(own), passes[0])
	}
	scope := m.Device().Scope()
	defer scope.Close()
	var losses []*tensor.Tensor
	for _, pass := range own {
		if err := ctx.Err(); err != nil {
			return err
		}
		compute := func() {
			inner := m.Device().Scope()
			defer inner.Close()
			x := m.TokenLosses(pass.b.Batch).Tensor()
			inner.Keep(x)
			losses = append(losses, x)
		}
		var err error
		caught := tensor.Catch(func() {
			if pass.reference {
				err = p.withoutAdapter(compute)
			} else {
				compute()
			}
		})
		if err = cmp.Or(caught, err); err != nil {
			return err
		}
	}
	read, err := m.Device().Float64s(losses...)
	if err != nil {
		return err
	}
	if read, err = joined(w, read[:to-from]); err != nil {
		return err
	}
	for k, pass := range passes {
		for i, x := range sums(pass.b, read[k]) {
			pass.into(i, x)
		}
	}
	return nil
}

// withoutAdapter calls f while the model is the reference.
func (p *Preference) withoutAdapter(f func()) (err error) {
	if p.Adapter == nil {
		return fmt.Errorf("train: want an adapter, whose absence is the reference of %s, got none", p.Objective)
	}
	p.Adapter.Detach()
	defer func() { err = errors.Join(err, p.Adapter.Attach()) }()
	f()
	return nil
}
