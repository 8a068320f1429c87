package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/preference"
	"github.com/agora-ml/agora/tensor"
)

// preferenceGradients adds the gradients of a step's batches, and puts what they have said into r.
func (t *Trainer) preferenceGradients(r *StepResult, batches []data.Batch, step int) error {
	p := t.Preference
	answers, kl, err := p.beforehand(context.Background(), t.Model, batches, false)
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
		loss, err := t.preferenceBackward(batches[i], answers[i], w, uint32(step*len(batches)+i))
		r.Loss += loss
		return err
	}); err != nil {
		return err
	}
	all = slices.Concat(answers...) // now with their log-probabilities
	r.Preference = p.metrics(all, kl)
	if t.Tasks > 0 {
		r.ByTask = p.lossesByTask(t.Tasks, all, kl)
	}
	return nil
}

// preferenceBackward adds one micro-batch's gradients, gives its share of the loss, and fills in the
// log-probabilities of its answers.
func (t *Trainer) preferenceBackward(
	b data.Batch, answers []judgedAnswer, w totals, randomStep uint32,
) (loss float64, err error) {
	tape := autograd.NewTape(t.Device)
	defer tape.Close()
	tape.Seed, tape.Step = t.Seed, randomStep
	losses := t.Model.TokenLosses(b.Batch)
	read, err := t.Device.Float64s(losses.Tensor())
	if err != nil {
		return 0, err
	}
	for i, x := range sums(b, read[0]) {
		answers[i].LogProb, answers[i].prompt.logProb = x.answer, x.prompt
	}
	var byAnswer []float64
	loss, byAnswer = t.Preference.loss(answers, w)
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
	return loss, nil
}

// Evaluate is the loss of a model on batches of judged answers, and what else they tell. It ends with ctx's error when
// ctx ends.
func (p *Preference) Evaluate(
	ctx context.Context, m *llama.Model, batches []data.Batch,
) (loss float64, metrics PreferenceMetrics, err error) {
	tensor.NotNil("train.Preference.Evaluate", "a context", ctx)
	tensor.NotNil("train.Preference.Evaluate", "a model", m)
	answers, kl, err := p.evaluate(ctx, m, batches)
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
	ctx context.Context, m *llama.Model, batches []data.Batch,
) (answers []judgedAnswer, kl float64, err error) {
	byBatch, kl, err := p.beforehand(ctx, m, batches, true)
	return slices.Concat(byBatch...), kl, err
}

// beforehand finds what the losses of batches are compared with before a gradient is computed: the answers with
// their tokens and what the reference says of them, and KTO's divergence. With policy the model's own
// log-probabilities are there, too.
func (p *Preference) beforehand(
	ctx context.Context, m *llama.Model, batches []data.Batch, policy bool,
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
	err = p.score(ctx, m, passes)
	return answers, preference.KL(others), err
}

// scoring is a pass without a tape: of the model as it is, or of the reference. into is told the log-probability of
// each sequence.
type scoring struct {
	b         data.Batch
	reference bool
	into      func(sequence int, x sequenceSum)
}

// score makes passes, one after the other; all are read at once.
func (p *Preference) score(ctx context.Context, m *llama.Model, passes []scoring) error {
	scope := m.Device().Scope()
	defer scope.Close()
	losses := make([]*tensor.Tensor, len(passes))
	for i, pass := range passes {
		if err := ctx.Err(); err != nil {
			return err
		}
		compute := func() {
			inner := m.Device().Scope()
			defer inner.Close()
			losses[i] = m.TokenLosses(pass.b.Batch).Tensor()
			inner.Keep(losses[i])
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
