package train

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// Trainer makes optimizer steps on a model.
type Trainer struct {
	Device    *tensor.Device
	Model     *llama.Model
	Trainable *optim.Trainable
	Optimizer *optim.Optimizer
	Schedule  optim.Schedule
	LR        float64    // Schedule's factor multiplies it
	ClipNorm  float64    // 0: no clipping
	Seed      uint64     // of dropout
	LossScale *LossScale // nil: none, as everything but f16 activations wants it
	Tasks     int        // of a data.Mixture, whose losses are told apart; 0: none

	Preference *Preference // nil: the next tokens of answers are learned

	// World are the processes that make every step together, each with a model of its own that is the same; nil: this
	// one alone. All are given all micro-batches of a step, whose number theirs divides.
	World dist.World

	inSequence bool               // micro-batches are added one after the other; see gradientSum
	divided    bool               // the processes divide the optimizer: ShardOptimizer
	spare      []*optim.Gradients // room for sums
	shards     *shards            // nil: the whole model is here
}

// StepResult is what one step has seen.
type StepResult struct {
	Loss     float64 // mean nats a counted token, or with a Preference its loss a row, before the update
	LR       float64
	GradNorm float64 // before clipping
	Rows     int
	Tokens   int // padding apart
	Counted  int // in the loss
	// LossScale is that of this step, 0 without. Skipped tells that it was too large: the
	// gradient, as GradNorm, is no finite number, and nothing has moved but LossScale.
	LossScale float64
	Skipped   bool
	ByTask    []TaskLoss // by data.Sequence.Task; nil without Trainer.Tasks

	Preference *PreferenceMetrics // nil without Trainer.Preference
}

// TaskLoss is the loss of one task's part of the rows.
type TaskLoss struct {
	Loss    float64 `json:"loss"`    // mean nats a counted token; 0 where none counts
	Counted int     `json:"counted"` // tokens in it
}

// ErrNothingCounted is returned by Step and Evaluate for batches without a counted token.
var ErrNothingCounted = errors.New("no token of the batches counts in the loss")

// Step makes one optimizer step on one or more micro-batches. The loss is the sum over
// all counted tokens divided by their number over all micro-batches, so that how the rows
// are cut into micro-batches does not matter; their gradients are added in an order that the number of
// processes does not change (see World). A loss or gradient that is no finite number
// is a *NonFiniteError, unless a smaller LossScale may help: then the step counts, but has
// moved nothing. Gradients count as zero afterwards (optim.Trainable.ForgetGrad).
func (t *Trainer) Step(batches []data.Batch) (StepResult, error) {
	if t == nil || t.Device == nil || t.Model == nil || t.Trainable == nil || t.Optimizer == nil || t.Schedule == nil {
		tensor.Panicf("train.Step", "want a trainer that NewTrainer has made, or all fields but LossScale")
	}
	var r StepResult
	for _, b := range batches {
		r.Rows += b.Rows
		r.Tokens += b.Tokens()
		r.Counted += b.Counted()
	}
	return t.step(r, batches)
}

// step is Step for batches of so many rows and tokens, of which r.Counted count.
func (t *Trainer) step(r StepResult, batches []data.Batch) (StepResult, error) {
	if r.Counted == 0 {
		return r, ErrNothingCounted
	}
	step := t.steps()
	outer := t.Device.Scope()
	defer outer.Close()
	var losses, byToken []*tensor.Tensor
	var failed error
	err := tensor.Catch(func() {
		if t.Preference != nil {
			failed = t.preferenceGradients(&r, batches, step)
			return
		}
		failed = t.addUp(len(batches), func(i int) error {
			if batches[i].Counted() == 0 && t.shards == nil {
				return nil
			}
			loss, tokens := t.backward(batches[i], r.Counted, uint32(step*len(batches)+i))
			if batches[i].Counted() == 0 { // the others have waited for this process's part of the weights
				t.Trainable.ZeroGrad()
				return nil
			}
			losses = append(losses, loss)
			if tokens != nil {
				byToken = append(byToken, tokens)
			}
			return nil
		})
	})
	if err == nil {
		err = failed
	}
	if err != nil { // of a batch behind others that have left gradients
		t.Trainable.ZeroGrad()
		return r, err
	}
	r.LR = t.LR * float64(t.Schedule(step))
	t.Trainable.ClipScaledByNorm(float32(t.ClipNorm), t.LossScale.scale())
	t.Optimizer.Step(float32(r.LR))
	t.Trainable.ForgetGrad()

	// The one place that waits for the device.
	read, err := t.Device.Float64s(slices.Concat([]*tensor.Tensor{t.Trainable.Norm()}, losses, byToken)...)
	if err != nil {
		return r, err
	}
	r.GradNorm = read[0][0]
	if t.Preference == nil {
		if read, err = t.gather(read[1:]); err != nil {
			return r, err
		}
		n := len(read)
		if t.Tasks > 0 {
			n /= 2
			r.ByTask = lossesByTask(t.Tasks, batches, read[n:])
		}
		for _, loss := range read[:n] {
			r.Loss += loss[0]
		}
	}
	if t.LossScale != nil {
		r.LossScale = t.LossScale.Scale
	}
	if finite(r.Loss) && finite(r.GradNorm) {
		t.LossScale.passed()
		return r, nil
	}
	bad := &NonFiniteError{Step: step + 1, Loss: r.Loss, GradNorm: r.GradNorm, LossScale: r.LossScale}
	if !finite(r.GradNorm) { // then nothing has moved
		t.Optimizer.Uncount()
		// The loss knows no scale: where it is not finite, a smaller one is no help.
		if finite(r.Loss) && t.LossScale.overflowed() {
			r.Skipped = true
			return r, t.Device.Err()
		}
		t.diagnose(bad, batches, r.Counted)
	}
	return r, errors.Join(bad, t.Device.Err())
}

// steps is the number of steps made, those skipped among them: what a step's batches,
// learning rate and random numbers are must follow from its number alone. The optimizer
// counts for its moments only those that moved something.
func (t *Trainer) steps() int { return t.Optimizer.Steps() + t.LossScale.skipped() }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// backward adds one micro-batch's gradients and gives its share of the loss, and with Tasks the
// losses of its tokens; both belong to the scope around.
func (t *Trainer) backward(b data.Batch, counted int, randomStep uint32) (loss, tokens *tensor.Tensor) {
	tape := autograd.NewTape(t.Device)
	defer tape.Close()
	tape.Seed, tape.Step = t.Seed, randomStep
	var l *autograd.Var
	if t.Tasks == 0 {
		l = t.Model.Loss(b.Batch, counted)
	} else {
		var each *autograd.Var
		l, each = t.Model.LossByToken(b.Batch, counted)
		tape.Keep(each)
		tokens = each.Tensor()
	}
	tape.Keep(l)
	tape.BackwardScaled(l, t.LossScale.scale())
	return l.Tensor(), tokens
}

// Evaluate is the mean loss, in nats, over the counted tokens of the batches. It ends
// with ctx's error when ctx ends.
func Evaluate(ctx context.Context, m *llama.Model, batches []data.Batch) (float64, error) {
	tensor.NotNil("train.Evaluate", "a context", ctx)
	tensor.NotNil("train.Evaluate", "a model", m)
	sum, counted := 0.0, 0
	for _, b := range batches {
		loss, err := sumOver(ctx, m, b)
		if err != nil {
			return 0, err
		}
		sum += loss
		counted += b.Counted()
	}
	if counted == 0 {
		return 0, ErrNothingCounted
	}
	return sum / float64(counted), nil
}

// sumOver is the sum of the losses of a batch's counted tokens.
func sumOver(ctx context.Context, m *llama.Model, b data.Batch) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if b.Counted() == 0 {
		return 0, nil
	}
	scope := m.Device().Scope()
	defer scope.Close()
	var loss *tensor.Tensor
	if err := tensor.Catch(func() { loss = m.Loss(b.Batch, 1).Tensor() }); err != nil {
		return 0, err
	}
	read, err := loss.Float64s()
	if err != nil {
		return 0, err
	}
	return read[0], nil
}
