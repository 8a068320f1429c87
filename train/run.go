package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// Progress is told how a run goes on.
type Progress interface {
	Say(line string)
	Record(Record)
}

// Summary is how a run ended.
type Summary struct {
	Out           string   `json:"out"`
	Steps         int      `json:"steps"` // made
	Interrupted   bool     `json:"interrupted"`
	Parameters    int      `json:"parameters"` // of the base model
	Trained       int      `json:"trained"`
	TrainRows     int      `json:"train_rows"`
	HeldOutRows   int      `json:"held_out_rows"`
	DroppedRows   int      `json:"dropped_rows"` // without a counted token within max-tokens
	Loss          float64  `json:"loss"`         // of the last step
	HeldOutBefore *float64 `json:"held_out_before,omitempty"`
	HeldOutAfter  *float64 `json:"held_out_after,omitempty"`
	TokensPerSec  float64  `json:"tokens_per_s"` // over all steps, measurements apart
	Seconds       float64  `json:"seconds"`
	PeakBytes     int      `json:"peak_bytes"` // most tensor memory
}

// run is a fine-tuning on its way.
type run struct {
	cfg      Config
	trainer  Trainer
	adapter  *multilora.Adapter
	heldOut  []data.Batch
	metrics  *metrics
	progress Progress
	start    time.Time
	summary  Summary
}

// Run fine-tunes the model of cfg on its data and saves the adapter in cfg.Out, beside
// metrics.jsonl. When ctx ends, it stops after the current step and saves what it has;
// before the first step there is nothing to save, and that is an error.
func Run(ctx context.Context, d *tensor.Device, cfg Config, p Progress) (s Summary, err error) {
	if err := cfg.Validate(); err != nil {
		return s, err
	}
	if err := checkOut(cfg.Out); err != nil {
		return s, err
	}
	r := &run{cfg: cfg, progress: p, start: time.Now(), summary: Summary{Out: cfg.Out}}
	loader, err := r.prepareData()
	if err != nil {
		return s, err
	}
	defer loader.Close()
	if err := r.prepareModel(d); err != nil {
		return s, err
	}
	if ctx.Err() != nil {
		return s, notBegun(ctx)
	}
	if err := os.MkdirAll(cfg.Out, 0o777); err != nil {
		return s, fmt.Errorf("--out: %w", err)
	}
	if r.metrics, err = openMetrics(filepath.Join(cfg.Out, "metrics.jsonl")); err != nil {
		return s, err
	}
	err = r.train(ctx, loader)
	if closeErr := r.metrics.close(); err == nil {
		err = closeErr
	}
	r.summary.Seconds = time.Since(r.start).Seconds()
	r.summary.PeakBytes = d.Stats().Peak
	return r.summary, err
}

// checkOut refuses a folder that holds an adapter: it would be overwritten at the end,
// and stand beside the metrics of another run until then.
func checkOut(dir string) error {
	for _, name := range []string{multilora.InfoFile, multilora.TensorFile} {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			return fmt.Errorf("--out %s: want a folder without an adapter, got one that holds %s", dir, name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return nil
}

// notBegun is the error of a run that ctx has ended before its first step.
func notBegun(ctx context.Context) error {
	return fmt.Errorf("interrupted before the first step, nothing is saved: %w", context.Cause(ctx))
}

// prepareData reads, splits and tokenizes the rows.
func (r *run) prepareData() (*data.Loader, error) {
	tok, err := tokenizer.Load(r.cfg.Model)
	if err != nil {
		return nil, err
	}
	rows, err := data.Read([]string{r.cfg.Data}, data.FormatAuto)
	if err != nil {
		return nil, err
	}
	if r.cfg.HeldOut >= len(rows) {
		return nil, fmt.Errorf("--held-out %d: %s has only %d rows", r.cfg.HeldOut, r.cfg.Data, len(rows))
	}
	rows, held := data.Split(rows, r.cfg.HeldOut)
	options := data.TokenizeOptions{MaxTokens: r.cfg.MaxTokens}
	trainSeqs, counts, err := data.Tokenize(tok, rows, options)
	if err != nil {
		return nil, err
	}
	heldSeqs, countsHeld, err := data.Tokenize(tok, held, options)
	if err != nil {
		return nil, err
	}
	r.heldOut = data.Batches(heldSeqs, r.cfg.BatchRows)
	s := &r.summary
	s.TrainRows, s.HeldOutRows, s.DroppedRows = len(trainSeqs), len(heldSeqs), counts.Dropped+countsHeld.Dropped
	r.progress.Say(fmt.Sprintf("%d rows to train on, %d held out, %d dropped: no token of their answer is within %d tokens",
		s.TrainRows, s.HeldOutRows, s.DroppedRows, r.cfg.MaxTokens))
	return data.NewLoader(trainSeqs, data.LoaderOptions{Rows: r.cfg.BatchRows, Seed: r.cfg.Seed})
}

// prepareModel loads the base, attaches the adapter and gathers what trains.
func (r *run) prepareModel(d *tensor.Device) error {
	cfg := r.cfg
	m, err := llama.Load(d, cfg.Model, llama.LoadOptions{DType: cfg.DType})
	if err != nil {
		return err
	}
	if cfg.MaxTokens > m.Config.MaxPositions {
		return fmt.Errorf("--max-tokens %d: %s has %d positions", cfg.MaxTokens, cfg.Model, m.Config.MaxPositions)
	}
	m.Checkpointing = cfg.Checkpoint
	for _, p := range nn.Params(m) {
		r.summary.Parameters += p.Value.Numel()
	}
	if r.adapter, err = multilora.Attach(m, cfg.Adapter, cfg.Seed); err != nil {
		return err
	}
	r.adapter.Base = filepath.Base(filepath.Clean(cfg.Model))
	var groups []optim.Group
	if cfg.Adapter.Method == multilora.MethodMultiLoRA {
		groups = append(groups, optim.Group{Match: "*.s", LRFactor: float32(cfg.ScaleLR)})
	}
	t := &r.trainer
	if t.Trainable, err = optim.Gather(d, m, groups...); err != nil {
		return err
	}
	adam := optim.DefaultAdamW()
	adam.WeightDecay = float32(cfg.WeightDecay)
	if t.Optimizer, err = optim.New(t.Trainable, adam); err != nil {
		return err
	}
	if t.Schedule, err = optim.NewSchedule(cfg.Schedule, cfg.WarmupSteps, cfg.Steps); err != nil {
		return err
	}
	t.Device, t.Model, t.LR, t.ClipNorm, t.Seed = d, m, cfg.LR, cfg.ClipNorm, cfg.Seed
	r.summary.Trained = t.Trainable.Numel()
	r.progress.Say(fmt.Sprintf("%s: %d parameters, %d trained on %d layers (%s, %d × rank %d)", cfg.Model,
		r.summary.Parameters, r.summary.Trained, len(r.adapter.Layers()), cfg.Adapter.Method, cfg.Adapter.Modules, cfg.Adapter.Rank))
	return nil
}

// train makes the steps, measures, and saves.
func (r *run) train(ctx context.Context, loader *data.Loader) (err error) {
	s := &r.summary
	s.HeldOutBefore, err = r.evaluate(ctx)
	if ctx.Err() != nil {
		return notBegun(ctx)
	}
	if err != nil {
		return err
	}
	training := time.Duration(0)
	tokens := 0
	for s.Steps < r.cfg.Steps {
		if s.Interrupted = ctx.Err() != nil; s.Interrupted {
			break
		}
		begin := time.Now()
		batches := make([]data.Batch, r.cfg.Accumulate)
		for i := range batches {
			batches[i] = loader.Next()
		}
		result, err := r.trainer.Step(batches)
		if err != nil {
			return err
		}
		took := time.Since(begin)
		training += took
		tokens += result.Tokens
		s.Steps++
		s.Loss, s.TokensPerSec = result.Loss, float64(tokens)/training.Seconds()
		r.record(Record{
			Step: s.Steps, Loss: &result.Loss, LR: result.LR, GradNorm: result.GradNorm, Rows: result.Rows, Tokens: result.Tokens,
			Counted: result.Counted, TokensPerSec: float64(result.Tokens) / took.Seconds(), PeakBytes: r.trainer.Device.Stats().Peak,
		})
		if r.cfg.EvalEvery > 0 && s.Steps%r.cfg.EvalEvery == 0 {
			if s.HeldOutAfter, err = r.evaluate(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			continue
		}
		s.HeldOutAfter = nil
	}
	if err := r.adapter.Save(r.cfg.Out); err != nil {
		return err
	}
	if !s.Interrupted && s.HeldOutAfter == nil {
		if s.HeldOutAfter, err = r.evaluate(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// evaluate measures the held-out loss, nil if nothing is held out.
func (r *run) evaluate(ctx context.Context) (*float64, error) {
	if len(r.heldOut) == 0 {
		return nil, nil
	}
	loss, err := Evaluate(ctx, r.trainer.Model, r.heldOut)
	if err != nil {
		return nil, fmt.Errorf("held-out rows: %w", err)
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return nil, fmt.Errorf("held-out rows: the loss is %v after %d steps", loss, r.summary.Steps)
	}
	r.record(Record{Step: r.summary.Steps, HeldOutLoss: &loss})
	return &loss, nil
}

func (r *run) record(rec Record) {
	rec.Seconds = time.Since(r.start).Seconds()
	r.metrics.write(rec)
	r.progress.Record(rec)
}
