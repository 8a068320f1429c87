package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/folderlock"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// Progress is told how a run goes on.
type Progress interface {
	Say(line string)
	Begin(done, steps int) // before the first step: how many are made already, and the last one
	Record(Record)
}

// Summary is how a run ended; summary.json holds it.
type Summary struct {
	Out string `json:"out"`
	// MatmulPrecision is how the device computed products of f32.
	MatmulPrecision string      `json:"matmul_precision"`
	Steps           int         `json:"steps"`       // made, in all
	Skipped         int         `json:"skipped"`     // of Steps: gradients too large for f16
	Interrupted     bool        `json:"interrupted"` // Resume goes on
	EarlyStopped    bool        `json:"early_stopped"`
	Parameters      int         `json:"parameters"` // of the base model
	Trained         int         `json:"trained"`
	Data            data.Counts `json:"data"`
	TrainRows       int         `json:"train_rows"` // sequences
	HeldOutRows     int         `json:"held_out_rows"`
	Loss            float64     `json:"loss"` // of the last step
	HeldOutBefore   *float64    `json:"held_out_before,omitempty"`
	HeldOutAfter    *float64    `json:"held_out_after,omitempty"` // of the last weights
	Best            *bestResult `json:"best,omitempty"`

	// Of preference training, what stands beside HeldOutBefore and HeldOutAfter.
	PreferenceBefore *PreferenceMetrics `json:"preference_before,omitempty"`
	PreferenceAfter  *PreferenceMetrics `json:"preference_after,omitempty"`

	TokensPerSec float64     `json:"tokens_per_s"`         // over the steps of this process, measurements apart
	Seconds      float64     `json:"seconds"`              // of this process
	PeakBytes    int         `json:"peak_bytes"`           // most tensor memory
	OtherBits    []Deviation `json:"other_bits,omitempty"` // see Options.AllowOtherBits
}

// The files of a run's folder, beside the result and the metrics.
const (
	ConfigFile        = "config.yaml"
	SummaryFile       = "summary.json"
	CheckpointsFolder = "checkpoints"
)

// Options choose how Run and Resume go about it; the zero value is right for most.
type Options struct {
	// From is the checkpoint that Resume goes on from, such as "step-000200"; "": the newest.
	// Later ones are removed.
	From string
	// AllowOtherBits lets Resume go on where settings, device or files are not those of the
	// run. Checkpoints, metrics and summary say what was not.
	AllowOtherBits bool
	// AnyBase lets an adapter go on beside a model that it was not made for, or that holds it
	// already (see multilora.Options).
	AnyBase bool
	// World are the processes that make the run together, all of them called alike; nil: this one alone. Process 0
	// writes the files, and is the only one whose Progress is told more than Begin. The files have the same bits for any
	// number of processes.
	World dist.World
	// Clock tells the time in the place of time.Now, if it is not nil.
	Clock func() time.Time
}

// run is a training on its way.
type run struct {
	cfg         Config
	options     Options
	trainer     Trainer
	shards      *shards            // nil: the whole model is here
	planned     int                // processes of a Plan
	adapter     *multilora.Adapter // nil with MethodFull
	stored      []tensor.DType     // types of the base model's matrices
	seqs        []data.Sequence    // to train on
	loading     data.LoaderOptions
	loader      *data.Loader
	heldOut     []heldOut
	tokenizer   tokenizer.Tokenizer
	tasks       []eval.Task // to be scored
	vocabulary  int         // ids of the tokenizer
	ends        ends
	longest     int // tokens of the longest sequence
	tokens      int // of all sequences
	checkpoints checkpoints
	state       state
	saved       int // step of the newest checkpoint; -1: none
	metrics     *metrics
	progress    Progress
	judge       *judge // of a run that goes on from a checkpoint
	now         func() time.Time
	start       time.Time
	elapsed     time.Duration // since start, as far as records tell
	summary     Summary
}

// Run trains as cfg says and saves the result in cfg.Out, which must not hold an earlier
// run, and which no other process may train into meanwhile. When ctx ends, it stops after the current
// step, saves what it has and a checkpoint, and Resume can go on; before the first step there is nothing
// to save, and that is an error.
func Run(ctx context.Context, d *tensor.Device, cfg Config, p Progress, o Options) (Summary, error) {
	unlock, err := begin(ctx, d, &cfg, &p, o, "train.Run")
	if err != nil {
		return Summary{}, err
	}
	defer unlock()
	if o.processes().Rank() == 0 {
		if err := cfg.checkOut(); err != nil {
			return Summary{}, err
		}
	}
	if why := cfg.ChooseDType(d); why != "" {
		p.Say(fmt.Sprintf("dtype auto: %s (compute-dtype decides otherwise)", why))
	}
	if from, err := cfg.chooseEOS(); err != nil {
		return Summary{}, err
	} else if from != "" {
		p.Say(fmt.Sprintf("eos-token %s, as %s has it (eos-token decides otherwise)", cfg.EOSToken, from))
	}
	return start(ctx, d, cfg, p, o, newState(), nil)
}

// begin checks what Run and Resume are given, and locks the run's folder until unlock.
func begin(
	ctx context.Context, d *tensor.Device, cfg *Config, p *Progress, o Options, caller string,
) (unlock func(), err error) {
	tensor.NotNil(caller, "a context", ctx)
	tensor.NotNil(caller, "a device", d)
	tensor.NotNil(caller, "a Progress", *p)
	cfg.Resolve()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.checkProcesses(o.processes().Size()); err != nil {
		return nil, err
	}
	if o.processes().Rank() != 0 {
		*p = silent{*p}
		return func() {}, nil
	}
	return cfg.lockOut(*p)
}

// silent is the Progress of a process that is not the first.
type silent struct{ Progress }

func (silent) Say(string)    {}
func (silent) Record(Record) {}

// start prepares everything, trains from state s, and ends the run; j is the judge of the
// checkpoint that s comes from, or nil.
func start(
	ctx context.Context, d *tensor.Device, cfg Config, p Progress, o Options, s state, j *judge,
) (_ Summary, err error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	r := &run{
		cfg: cfg, options: o, state: s, saved: -1, progress: p, judge: j, now: o.Clock, start: o.Clock(),
		checkpoints: checkpoints{filepath.Join(cfg.Out, CheckpointsFolder)}, summary: Summary{Out: cfg.Out},
	}
	if w := o.processes(); w.Size() > 1 {
		r.options.World = &dist.Measured{World: w}
	}
	if s.Rates == nil {
		r.state.Rates = cfg.rates()
	}
	if err := r.agreeOnShard(); err != nil {
		return r.summary, err
	}
	if err := r.planBefore(ctx, d); err != nil {
		return r.summary, err
	}
	if err := r.prepareData(ctx); err != nil {
		return r.summary, err
	}
	debug.FreeOSMemory() // the text of the rows is gone, and tensors have no use for Go's heap
	if err := r.plan(d); err != nil {
		return r.summary, err
	}
	defer func() { r.leaveShards(err) }()
	if r.loader, err = data.NewLoader(r.seqs, r.loading); err != nil {
		return r.summary, err
	}
	defer r.loader.Close()
	from := ""
	if j != nil {
		from, r.saved = r.checkpoints.path(s.Step), s.Step
	}
	if err := r.prepareModel(ctx, d, from); err != nil {
		return r.summary, err
	}
	if r.tasks, err = cfg.readTasks(); err != nil {
		return r.summary, err
	}
	if r.state.Inputs == nil {
		if r.state.Inputs, err = cfg.readInputs(ctx); err != nil {
			return r.summary, err
		}
	}
	r.state.Version, r.state.Program, r.state.Device, r.state.Settings = stateVersion, program(),
		cfg.arithmetic(d, o.processes()), r.cfg.bitSettings()
	if j != nil {
		r.state.OtherBits = append(r.state.OtherBits, j.found...)
	}
	r.summary.OtherBits = r.state.OtherBits
	if stop, err := r.stopped(ctx); err != nil {
		return r.summary, err
	} else if stop {
		return r.summary, notBegun(ctx)
	}
	if err := r.agree(); err != nil {
		return r.summary, err
	}
	if err := r.openFolder(); err != nil {
		return r.summary, err
	}
	err = mapped.Guard(func() error { return r.train(ctx) })
	if r.isFirst() {
		if closeErr := r.metrics.close(); err == nil {
			err = closeErr
		}
	}
	r.summary.Seconds = r.sinceStart().Seconds()
	r.summary.PeakBytes, r.summary.MatmulPrecision = d.Stats().Peak, string(device.MatmulPrecision(d))
	if err != nil || !r.isFirst() {
		return r.summary, err
	}
	return r.summary, writeJSON(filepath.Join(cfg.Out, SummaryFile), r.summary)
}

// planDevice is what of a device decides what kernels keep.
func planDevice(d *tensor.Device) device.Options {
	return device.Options{MatmulPrecision: device.MatmulPrecision(d)}
}

// plan says what the run needs, and refuses one that does not fit.
func (r *run) plan(d *tensor.Device) error {
	p, err := NewPlan(r.cfg, PlanOptions{Device: planDevice(d), Longest: r.longest, DataTokens: r.tokens, GPU: !d.KeepsScratch(),
		Processes: r.options.processes().Size()})
	if err != nil {
		return err
	}
	r.progress.Say(p.String())
	return p.Fits(RoomOn(d))
}

// planBefore refuses what cannot fit however short the rows are, before they are read: the
// data alone may be more than there is room for. Their tokens are guessed from their files.
func (r *run) planBefore(ctx context.Context, d *tensor.Device) error {
	if r.cfg.MaxDataBytes > 0 {
		return nil // of the data the user knows more
	}
	if r.cfg.Model != "" {
		if _, err := llama.Check(ctx, r.cfg.Model); err != nil {
			return r.cfg.wrong("model", err)
		}
	}
	room := RoomOn(d)
	o := PlanOptions{Device: planDevice(d), GPU: !d.KeepsScratch(), Processes: r.options.processes().Size()}
	p, misfit := NewPlan(r.cfg, o)
	if misfit == nil {
		misfit = p.Fits(room)
	}
	if misfit == nil {
		return nil
	}
	o.Longest = 1
	least, err := NewPlan(r.cfg, o)
	if err != nil || least.Fits(room) == nil {
		return err
	}
	if _, ok := errors.AsType[*DoesNotFitError](misfit); ok {
		r.progress.Say(p.String())
	}
	return misfit
}

// openFolder makes the run's folder ready to be written to.
func (r *run) openFolder() (err error) {
	if !r.isFirst() {
		return nil
	}
	if err := os.MkdirAll(r.cfg.Out, 0o777); err != nil {
		return r.cfg.wrong("out", err)
	}
	for _, dir := range []string{r.cfg.Out, r.checkpoints.dir} {
		if err := atomicfile.RemoveLeftovers(dir); err != nil {
			return r.cfg.wrong("out", err)
		}
	}
	if r.judge != nil {
		if err := r.checkpoints.removeAfter(r.state.Step, r.progress); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(r.cfg.Out, SummaryFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r.cfg.wrong("out", err) // it would tell of an end that is no longer one
		}
	}
	if err := r.cfg.Write(filepath.Join(r.cfg.Out, ConfigFile)); err != nil {
		return r.cfg.wrong("out", err)
	}
	r.metrics, err = openMetrics(r.cfg.Out, r.state.Step, r.state.Measured, r.now())
	return err
}

// lockOut keeps other processes from training into the folder until unlock is called.
func (c *Config) lockOut(p Progress) (unlock func(), err error) {
	l, err := folderlock.Take(c.Out)
	if held, ok := errors.AsType[*folderlock.HeldError](err); ok {
		return nil, c.wrongf("out", "want a folder that no other run writes to, got %s, where %s is training", c.Out,
			held.Holder)
	}
	if err != nil {
		return nil, c.wrong("out", err)
	}
	if err := l.Unsupported(); err != nil {
		p.Say(fmt.Sprintf("warning: %s cannot be locked (%v): see to it that nothing else writes there",
			printable.Name(c.Out), err))
	}
	return func() { _ = l.Release() }, nil // what is written is safe; a file that is left locks nobody out
}

// runFiles are what a run writes into its folder, a tokenizer's files and event files apart.
var runFiles = []string{
	multilora.InfoFile, multilora.TensorFile, llama.ConfigFile, safetensors.ModelFile, safetensors.IndexFile,
	CheckpointsFolder, ConfigFile, MetricsFile, SummaryFile,
}

// checkOut refuses a folder that holds a file which the run would write: it would be
// overwritten, and stand beside the metrics of another run until then.
func (c *Config) checkOut() error {
	for _, name := range slices.Concat(runFiles, tokenizer.BesideWeights()) {
		if regular.Exists(filepath.Join(c.Out, name)) {
			return c.wrongf("out", "want a folder without an earlier run (or --resume to go on with it), got %s, "+
				"which holds %s",
				c.Out, name)
		}
	}
	return nil
}

// readSummary reads how the run in a folder ended last.
func readSummary(dir string) (s Summary, err error) {
	path := filepath.Join(dir, SummaryFile)
	text, err := regular.Read(path, maxState)
	if err == nil {
		err = strictjson.Unmarshal(text, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: want a run's summary: %w", path, err)
	}
	return s, err
}

// notBegun is the error of a run that ctx has ended before its first step.
func notBegun(ctx context.Context) error {
	return fmt.Errorf("interrupted before the first step, nothing is saved: %w", ctx.Err())
}
