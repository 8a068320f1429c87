package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/dist"
)

// scalingNormsEvery is the steps between records of the norms of s.
const scalingNormsEvery = 10

// train makes the steps that are left, measures, keeps checkpoints, and saves the result.
func (r *run) train(ctx context.Context) error {
	r.progress.Begin(r.state.Step, r.cfg.Steps)
	if r.judge != nil {
		if changed := r.state.changed(); changed != nil || r.judge.found != nil {
			if err := r.record(Record{Kind: KindChange, Step: r.state.Step, Changed: changed,
				OtherBits: r.judge.found}); err != nil {
				return err
			}
		}
	}
	var clock speed
	for {
		if stop, err := r.stopped(ctx); err != nil {
			return err
		} else if stop {
			return r.interrupted(ctx)
		}
		if err := r.measure(ctx); err != nil {
			if ctx.Err() != nil && r.options.processes().Size() == 1 { // half a measurement is none: a resumed run makes it first
				return r.interrupted(ctx)
			}
			return err
		}
		if err := r.save(); err != nil {
			return err
		}
		if r.last() {
			return r.finish()
		}
		if err := r.step(&clock); err != nil {
			return r.failed(err)
		}
	}
}

// last reports whether no step is to come.
func (r *run) last() bool { return r.state.Step >= r.cfg.Steps || r.enough() }

// enough reports whether no measurement was better for as long as early-stop says.
func (r *run) enough() bool { return r.cfg.EarlyStop > 0 && r.state.WithoutGain >= r.cfg.EarlyStop }

// speed is how fast the steps of this process were.
type speed struct {
	tokens int
	took   time.Duration
}

// step makes one step and records it.
func (r *run) step(clock *speed) error {
	begin, network := r.now(), r.network()
	batches := make([]data.Batch, r.cfg.Accumulate)
	for i := range batches {
		if batches[i] = r.loader.Next(); batches[i].Rows == 0 {
			return r.cfg.wrongf("steps", "the mixture has no more rows after %d steps: want fewer, or larger "+
				"max-epochs of its tasks", r.state.Step)
		}
	}
	result, err := r.trainer.Step(batches)
	if err != nil {
		return err
	}
	if err := r.cfg.unchanged(); err != nil { // the step has computed with other weights than those before
		return err
	}
	took := max(r.now().Sub(begin), time.Microsecond) // there are coarse clocks
	clock.took += took
	clock.tokens += result.Tokens
	r.state.Step++
	r.state.Loss = result.Loss
	r.summary.TokensPerSec = float64(clock.tokens) / clock.took.Seconds()
	rec := Record{
		Kind: KindStep, Step: r.state.Step, Loss: &result.Loss, LR: result.LR, GradNorm: result.GradNorm,
		Rows:    result.Rows,
		Tokens:  result.Tokens,
		Counted: result.Counted, TokensPerSec: float64(result.Tokens) / took.Seconds(),
		PeakBytes: r.trainer.Device.Stats().Peak,
		LossScale: result.LossScale, Skipped: result.Skipped, Tasks: r.named(result.ByTask),
		Preference: result.Preference, Processes: r.network().since(network),
	}
	if result.Skipped {
		rec.GradNorm = 0 // JSON has no other numbers than finite ones
		r.progress.Say(fmt.Sprintf("step %d skipped: its gradient does not fit f16 at loss scale %.0f, which is now "+
			"%.0f",
			r.state.Step, result.LossScale, r.state.LossScale.Scale))
	}
	if r.adapter != nil && r.state.Step%scalingNormsEvery == 0 {
		norms, err := r.adapter.ScalingNorms()
		if err != nil {
			return err
		}
		rec.ScalingNorms = map[string]float64{}
		for _, n := range norms {
			if finite(n.Norm) { // JSON has no others; the next step will find what is wrong
				rec.ScalingNorms[n.Layer] = n.Norm
			}
		}
	}
	return r.record(rec)
}

// measure takes the held-out loss where it is due: before the first step, after the last
// one, and every few between them.
func (r *run) measure(ctx context.Context) error {
	s := &r.state
	due := s.Step == 0 || s.Step == r.cfg.Steps || r.cfg.EvalEvery > 0 && s.Step%r.cfg.EvalEvery == 0
	if !due || s.Measured == s.Step || len(r.heldOut) == 0 && len(r.tasks) == 0 {
		return nil
	}
	if r.options.processes().Size() > 1 {
		ctx = context.WithoutCancel(ctx) // all of them make it, or none
	}
	rec, now := Record{Kind: KindMeasurement, Step: s.Step}, bestResult{Step: s.Step}
	if len(r.heldOut) > 0 {
		measured, err := r.heldOutLoss(ctx)
		if err != nil {
			return fmt.Errorf("held-out rows: %w", err)
		}
		if !finite(measured.loss) {
			return fmt.Errorf("held-out rows: the loss is %v after %d steps", measured.loss, s.Step)
		}
		rec.HeldOutLoss, rec.Tasks, rec.Preference = &measured.loss, r.named(measured.tasks), measured.preference
		now.HeldOutLoss = measured.loss
	}
	var err error
	if now.Scores, err = r.commonScores(ctx); err != nil {
		return err
	}
	rec.Scores = now.Scores
	if err := r.record(rec); err != nil {
		return err
	}
	s.Measured, s.HeldOut, s.Preference = s.Step, rec.HeldOutLoss, rec.Preference
	switch {
	case s.Step == 0:
		s.Before, s.PreferenceBefore = rec.HeldOutLoss, rec.Preference
	case s.Best == nil || r.cfg.judged(now) < r.cfg.judged(*s.Best):
		s.Best, s.WithoutGain = &now, 0
	default:
		s.WithoutGain++
	}
	return nil
}

// commonScores are the scores of the tasks, of which process 0 makes sure for all.
func (r *run) commonScores(ctx context.Context) (scores map[string]float64, err error) {
	score := func() (map[string]float64, error) { return r.scores(ctx) }
	if r.shards != nil && len(r.tasks) > 0 {
		var scored error
		if err := r.shards.lead(func() { scores, scored = r.scores(ctx) }); err != nil {
			return nil, err
		}
		score = func() (map[string]float64, error) { return scores, scored }
	}
	return dist.Once(r.options.processes(), score)
}

// measured is what held-out rows tell.
type measured struct {
	loss       float64
	tasks      []TaskLoss // of a mixture
	preference *PreferenceMetrics
}

// heldOutLoss is the mean loss a counted token of all held-out rows, and with a mixture of those of
// each task. In preference training it is that of their pairs or answers.
func (r *run) heldOutLoss(ctx context.Context) (m measured, err error) {
	if p := r.trainer.Preference; p != nil {
		return r.heldOutPreference(ctx, p)
	}
	if r.cfg.TaskMixture() != nil {
		m.tasks = make([]TaskLoss, len(r.cfg.Data))
	}
	var batches []data.Batch
	for _, part := range r.heldOut {
		batches = append(batches, part.batches...)
	}
	losses, err := r.trainer.losses(ctx, batches)
	if err != nil {
		return m, err
	}
	counted := 0
	for _, part := range r.heldOut {
		sum, n := 0.0, 0
		for i, b := range part.batches {
			sum, n = sum+losses[i], n+b.Counted()
		}
		losses = losses[len(part.batches):]
		m.loss, counted = m.loss+sum, counted+n
		if m.tasks != nil && n > 0 {
			m.tasks[part.task] = TaskLoss{sum / float64(n), n}
		}
	}
	if counted == 0 {
		return m, ErrNothingCounted
	}
	m.loss /= float64(counted)
	return m, nil
}

func (r *run) heldOutPreference(ctx context.Context, p *Preference) (m measured, err error) {
	var batches []data.Batch
	for _, part := range r.heldOut {
		batches = append(batches, part.batches...)
	}
	answers, kl, err := p.evaluate(ctx, r.trainer.Model, r.options.processes(), batches)
	if err != nil {
		return m, err
	}
	m.loss, _ = p.loss(answers, p.totalsOf(answers, kl))
	m.preference = p.metrics(answers, kl)
	if r.trainer.Tasks > 0 {
		m.tasks = p.lossesByTask(r.trainer.Tasks, answers, kl)
	}
	return m, nil
}

// save writes a checkpoint where it is due, and removes those that nobody needs any more.
// The best weights are a checkpoint, unless they are the last and so the result.
func (r *run) save() error {
	s := &r.state
	scheduled := r.cfg.SaveEvery > 0 && s.Step%r.cfg.SaveEvery == 0
	best := s.Best != nil && s.Best.Step == s.Step && s.Step != r.cfg.Steps
	if s.Step == 0 || !scheduled && !best {
		return nil
	}
	if err := r.checkpoint(); err != nil {
		return err
	}
	return r.prune(s.Step)
}

// checkpoint saves the run as it is now. Where an interruption has done so just before the
// measurement of the same step, only the measurement is new.
func (r *run) checkpoint() error {
	if !r.isFirst() {
		if r.saved == r.state.Step {
			return nil
		}
		r.saved = r.state.Step
		return r.trainer.sendState()
	}
	if err := r.metrics.sync(); err != nil {
		return err
	}
	if r.saved == r.state.Step {
		if dir := r.checkpoints.path(r.saved); r.state.Files == nil || r.judge != nil && r.judge.found != nil {
			var err error
			// as they are, which is not as they were written
			if r.state.Files, err = digestFiles(context.Background(), dir); err != nil {
				return err
			}
		}
		return r.state.write(filepath.Join(r.checkpoints.path(r.saved), stateFile))
	}
	if err := r.checkpoints.write(&r.state, &r.trainer, r.saveResult); err != nil {
		return err
	}
	r.saved = r.state.Step
	return nil
}

// prune removes the checkpoints that nobody needs any more.
func (r *run) prune(also ...int) error {
	if !r.isFirst() {
		return nil
	}
	if best := r.state.Best; best != nil && best.Step != r.cfg.Steps {
		also = append(also, best.Step)
	}
	return r.checkpoints.prune(r.cfg.SaveEvery, r.cfg.Keep, also...)
}

// interrupted ends a run that is to be resumed.
func (r *run) interrupted(ctx context.Context) error {
	if r.state.Step == 0 {
		return notBegun(ctx)
	}
	r.summary.Interrupted = true
	if err := r.checkpoint(); err != nil {
		return err
	}
	r.summarize()
	if !r.isFirst() {
		return nil
	}
	return r.saveResult(r.cfg.Out)
}

// failed keeps a checkpoint where the step that failed has left everything as it was.
func (r *run) failed(err error) error {
	bad, ok := errors.AsType[*NonFiniteError](err)
	if !ok || finite(bad.GradNorm) || r.state.Step == 0 || r.trainer.Device.Err() != nil {
		return err
	}
	if what, readErr := r.trainer.notFinite(); what != "" || readErr != nil {
		return errors.Join(fmt.Errorf("%w; %s was not finite before that step, of which no checkpoint is made: an "+
			"earlier one may be good", err, cmp.Or(what, "something")), readErr)
	}
	if saveErr := errors.Join(r.checkpoint(), r.options.processes().Barrier()); saveErr != nil {
		return errors.Join(err, saveErr)
	}
	return &dist.CommonError{Err: fmt.Errorf("%w; the state before that step is in %s: --resume with a lower --lr "+
		"goes on from there", err, r.checkpoints.path(r.state.Step))}
}

// finish saves the result.
func (r *run) finish() error {
	r.summary.EarlyStopped = r.state.Step < r.cfg.Steps
	r.summarize()
	if !r.isFirst() {
		return nil
	}
	best := r.state.Best
	if best == nil || best.Step == r.state.Step || r.cfg.FinalWeights != BestWeights {
		if err := r.saveResult(r.cfg.Out); err != nil {
			return err
		}
	} else if err := r.checkpoints.whole(context.Background(), best.Step); err != nil {
		return fmt.Errorf("the result is to be the best checkpoint's: %w", err)
	} else if err := copyResult(r.checkpoints.path(best.Step), r.cfg.Out); err != nil {
		return err
	} else if err := r.copyTemplates(); err != nil {
		return err
	}
	return r.prune()
}

// summarize puts the state into the summary.
func (r *run) summarize() {
	sum, s := &r.summary, &r.state
	sum.Steps, sum.Skipped, sum.Loss, sum.HeldOutBefore, sum.Best = s.Step, s.LossScale.skipped(), s.Loss, s.Before,
		s.Best
	sum.PreferenceBefore = s.PreferenceBefore
	if s.Measured == s.Step {
		sum.HeldOutAfter, sum.PreferenceAfter = s.HeldOut, s.Preference
	}
}

// record tells of a step or a measurement. A run that cannot write its metrics ends at
// once: no checkpoint will stand before records that are lost.
func (r *run) record(rec Record) error {
	if !r.isFirst() {
		return nil
	}
	rec.Seconds, rec.Time = r.sinceStart().Seconds(), float64(r.now().UnixMicro())/1e6
	r.metrics.write(rec)
	r.progress.Record(rec)
	return r.metrics.err
}

// sinceStart is how long this process has been at it. It never falls, whatever becomes of
// the clock; time.Now's does not depend on who sets it.
func (r *run) sinceStart() time.Duration {
	r.elapsed = max(r.elapsed, r.now().Sub(r.start))
	return r.elapsed
}
