package train

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// prepareModel loads or makes the base, attaches the adapter, and gathers what trains;
// from is the checkpoint to go on from, or "".
func (r *run) prepareModel(ctx context.Context, d *tensor.Device, from string) error {
	m, err := r.loadModel(ctx, d, from)
	if err != nil {
		return err
	}
	return r.assemble(m, from)
}

// NewTrainer makes a model ready to train, as Run would with these settings: the adapter
// stands beside its layers, or everything trains, and what trains is gathered. What cfg says
// of data, files and folders does not matter.
func NewTrainer(m *llama.Model, cfg Config) (*Trainer, error) {
	tensor.NotNil("train.NewTrainer", "a model", m)
	cfg.Resolve()
	if err := cfg.validateRun(); err != nil {
		return nil, err
	}
	r := &run{cfg: cfg, state: newState()}
	err := r.assemble(m, "")
	return &r.trainer, err
}

// assemble makes a model ready to train: beside prepareModel and NewTrainer, a Plan calls it.
func (r *run) assemble(m *llama.Model, from string) (err error) {
	cfg, d := &r.cfg, m.Device()
	if cfg.MaxTokens > m.Config.Context() {
		return cfg.wrongf("max-tokens", "want at most the %d positions of the model, got %d", m.Config.Context(),
			cfg.MaxTokens)
	}
	m.Checkpointing, r.stored = cfg.Checkpointing, m.Stored()
	for _, p := range nn.Params(m) {
		r.summary.Parameters += p.Value.Numel()
	}
	if err := r.attach(m, from); err != nil {
		return err
	}
	t := &r.trainer
	if t.Trainable, err = optim.GatherDivided(d, m, r.division(), cfg.groups()...); err != nil {
		return err
	}
	t.Trainable.ForgetGrad() // the first step's are to be written as the others'
	adam := optim.DefaultAdamW()
	adam.WeightDecay = float32(cfg.WeightDecay)
	if t.Optimizer, err = optim.New(t.Trainable, adam); err != nil {
		return err
	}
	if m.DType() == tensor.F16 {
		if r.state.LossScale == nil {
			r.state.LossScale = &LossScale{Scale: cfg.LossScale}
		}
		t.LossScale = r.state.LossScale
	}
	if from != "" {
		if err := readOptimizer(filepath.Join(from, optimizerFile), r.state.Step-t.LossScale.skipped(),
			t.Optimizer); err != nil {
			return err
		}
	}
	if t.Schedule, err = optim.NewSchedule(cfg.Schedule, cfg.WarmupSteps, cfg.Steps); err != nil {
		return err
	}
	t.Device, t.Model, t.LR, t.ClipNorm, t.Seed = d, m, cfg.LR, cfg.ClipNorm, cfg.Seed
	t.Preference, t.World = cfg.newPreference(r.adapter), r.options.World
	t.divided = cfg.Shard == ShardOptimizer
	t.inSequence, t.shards = cfg.full() && !t.divided, r.shards
	w := r.options.processes()
	t.reserve(t.newSum(w.Rank(), max(w.Size(), r.planned), cfg.Accumulate))
	if mixture := cfg.TaskMixture(); mixture != nil {
		t.Tasks = len(mixture.Tasks)
	}
	d.ResetPeak() // loading needs less than a step: one tensor as the file has it
	r.summary.Trained = t.Trainable.Numel()
	return d.Err()
}

// loadModel loads the base model, or what a full fine-tuning has made of it.
func (r *run) loadModel(ctx context.Context, d *tensor.Device, from string) (*llama.Model, error) {
	storage, err := r.cfg.Storage()
	switch {
	case err != nil:
		return nil, err
	case r.cfg.full() && from != "":
		return llama.Load(ctx, d, from, storage)
	case r.cfg.FromScratch != "":
		return r.newModel(d)
	}
	if r.shards = r.sharded(); r.shards != nil {
		storage.Blocks = r.shards
	}
	m, err := llama.Load(ctx, d, r.cfg.Model, storage)
	if r.shards != nil {
		r.shards.model = m
	}
	return m, err
}

// newModel makes the model of from-scratch with random weights.
func (r *run) newModel(d *tensor.Device) (*llama.Model, error) {
	config, err := llama.ReadNewConfig(r.cfg.FromScratch, r.vocabulary)
	if err != nil {
		return nil, err
	}
	if r.ends.bos != nil {
		config.BOS = *r.ends.bos
	}
	r.ends.teach(&config)
	return llama.NewAs(d, config, r.cfg.DType, r.cfg.Seed)
}

// attach puts the adapter beside the model's layers, or sets all parameters to train.
func (r *run) attach(m *llama.Model, from string) (err error) {
	cfg := r.cfg
	switch {
	case cfg.full():
		r.ends.teach(&m.Config)
		for _, p := range nn.Params(m) {
			p.Frozen = false
		}
		return nil
	case from != "":
		if r.adapter, err = multilora.Load(m, from, multilora.Options{AnyBase: r.options.AnyBase}); err == nil &&
			cfg.adapterGiven() {
			r.cfg.Adapter = r.adapter.Config()
		}
	case cfg.FromAdapter != "":
		err = r.continueAdapter(m)
	case len(cfg.Branches) > 0:
		err = r.joinBranches(m)
	default:
		r.adapter, err = multilora.Attach(m, cfg.Adapter, cfg.Seed)
	}
	if err == nil && cfg.Train == TrainScales {
		if err = r.adapter.TrainScalings(); err != nil {
			err = cfg.wrong("train", err)
		}
	}
	if err == nil {
		err = r.checkReference()
	}
	if err != nil {
		return err
	}
	r.adapter.Base, r.adapter.EOSToken = filepath.Base(filepath.Clean(cfg.Model)), cfg.EOSToken
	if note := r.adapter.MatchNote(); note != "" && r.progress != nil {
		r.progress.Say(note)
	}
	return nil
}

// groups are the parameters with a rate of their own.
func (c *Config) groups() []optim.Group {
	var groups []optim.Group
	if c.Adapter.Method == multilora.MethodMultiLoRA {
		groups = append(groups, optim.Group{Match: "*.s", LRFactor: float32(c.ScaleLR)})
	}
	if c.LoRAPlusRatio != 1 {
		groups = append(groups, optim.Group{Match: "*.B", LRFactor: float32(c.LoRAPlusRatio),
			WeightDecay: float32(c.WeightDecay)})
	}
	return groups
}

// describe says what trains.
func (r *run) describe() string {
	s, cfg := &r.summary, &r.cfg
	what := "every parameter"
	if r.adapter != nil {
		what = fmt.Sprintf("%s, %d × rank %d on %d layers", cfg.Adapter.Method, cfg.Adapter.Modules, cfg.Adapter.Rank,
			len(r.adapter.Layers()))
		if slices.ContainsFunc(r.stored, tensor.DType.IsQuantized) {
			what += ", over weights in " + typeNames(r.stored)
		}
	}
	name := cfg.Model
	if cfg.FromScratch != "" {
		name = cfg.FromScratch
	}
	size := fmt.Sprintf("%d parameters", s.Parameters)
	if idle := r.trainer.Model.Config.IdleParameters(); idle > 0 {
		size += fmt.Sprintf(", %d for a token", s.Parameters-idle)
	}
	return fmt.Sprintf("%s: %s, %d trained (%.2f %%): %s", printable.Name(name), size, s.Trained,
		100*float64(s.Trained)/float64(s.Parameters), what)
}

// typeNames writes "q4_k, q6_k".
func typeNames(types []tensor.DType) string {
	var names []string
	for _, dt := range types {
		names = append(names, dt.String())
	}
	return strings.Join(names, ", ")
}
