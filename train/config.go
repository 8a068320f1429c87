package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/yamlfile"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// MethodFull trains every parameter of the model, without an adapter.
const MethodFull multilora.Method = "full"

// Config says everything about one training run. Defaults gives good values for what a
// user need not decide; Settings lists the fields with their names and meanings.
type Config struct {
	Model       string // folder of the base model, in Hugging Face's form, or GGUF file
	FromScratch string // config.json of a new model, in place of Model
	Tokenizer   string // folder or file; empty: the model's
	EOSToken    string // ends a text, as the vocabulary spells it; empty: what the files of tokenizer and model name
	DType       tensor.DType
	// ComputeDType is the storage type of the activations where DType is q8 or q4: f32,
	// bf16 or f16. Empty: f32, and elsewhere DType.
	ComputeDType string

	Data []Part // rows; see Files
	// Mixture is how parts with names are mixed: see data.Weighting. MixtureTemperature is of
	// data.WeightByTemperature, MixtureUnit a data.Unit.
	Mixture            string
	MixtureTemperature float64
	MixtureUnit        string
	Format             string // of rows, see data.Format
	// IgnoreFields are fields of rows that are passed over; see data.ReadOptions.
	IgnoreFields []string
	Template     string // chat template by name; empty: the model's
	// TemplateDate is what a template that asks for the time is told; see chat.ParseDate. Empty:
	// the time at which the run started, which its folder keeps.
	TemplateDate string
	Loss         string // see data.Loss
	// SpecialTokens is what special tokens that rows spell become; see tokenizer.SpecialTokens.
	SpecialTokens string
	MaxTokens     int    // of a sequence
	Truncate      string // see data.Truncate; empty: the format's own
	Pack          bool
	HeldOut       int // rows kept out of training to measure the loss on
	Loaders       int // goroutines that make batches
	MaxDataBytes  int // of all rows, see data.ReadOptions; 0: by the memory there is

	FromAdapter string           // adapter to go on with, in any of the forms that multilora.Open takes
	Adapter     multilora.Config // its Method may be MethodFull

	Steps       int     // optimizer steps
	Epochs      float64 // passes over the data, in place of Steps where it is not 0
	BatchRows   int     // rows of one micro-batch
	Accumulate  int     // micro-batches of one step
	LR          float64 // peak learning rate
	ScaleLR     float64 // factor on LR for the scales s
	WeightDecay float64
	Schedule    string
	WarmupSteps int // AutoWarmup: 10, or half of Steps if that is less
	ClipNorm    float64
	LossScale   float64 // the first, of f16 activations; see LossScale
	Seed        uint64

	Checkpointing bool // recompute each block on the way back

	Out       string // the run's folder
	EvalEvery int    // steps between measurements; 0: only before and after
	EarlyStop int    // measurements without a better one until the run ends; 0: never
	Result    string // which weights end in Out: ResultLast or ResultBest
	SaveEvery int    // steps between checkpoints; 0: only when interrupted
	Keep      int    // checkpoints kept, beside the best

	given []string // names of settings that were set as such, by Setting or Read
}

// AutoWarmup leaves Config.WarmupSteps to the number of steps.
const AutoWarmup = -1

// What Config.Result chooses.
const (
	ResultLast = "last" // the weights after the last step
	ResultBest = "best" // those with the lowest held-out loss
)

// Defaults are the values of every setting that has a sensible one.
func Defaults() Config {
	c := Config{
		DType:   tensor.F32,
		Mixture: string(data.WeightBySize), MixtureTemperature: 1, MixtureUnit: string(data.Examples),
		Format: "auto", Loss: "answers", SpecialTokens: "text", MaxTokens: 512, HeldOut: 64, Loaders: 2,
		Adapter: multilora.Defaults(),
		Steps:   300, BatchRows: 4, Accumulate: 1,
		LR: 3e-4, ScaleLR: 1, Schedule: "cosine", WarmupSteps: AutoWarmup, ClipNorm: 1, LossScale: firstLossScale,
		Result: ResultLast, SaveEvery: 100, Keep: 2,
	}
	c.Adapter.Modules, c.Adapter.Alpha = 0, 0 // see Resolve
	return c
}

// Resolve puts values in place of those settings whose default depends on others, and
// takes away what says nothing.
func (c *Config) Resolve() {
	a := &c.Adapter
	switch quantised := c.DType.IsQuantised(); {
	case quantised && c.ComputeDType == "":
		c.ComputeDType = tensor.F32.String()
	case !quantised && c.ComputeDType == c.DType.String():
		c.ComputeDType = ""
	}
	c.given = slices.DeleteFunc(slices.Clone(c.given), func(name string) bool { // which leave the choice to others
		return name == "modules" && a.Modules == 0 || name == "alpha" && a.Alpha == 0
	})
	if a.Modules == 0 {
		a.Modules = 1
		if a.Method == multilora.MethodMultiLoRA {
			a.Modules = multilora.Defaults().Modules
		}
	}
	if a.Alpha == 0 {
		a.Alpha = float64(a.Rank)
	}
	if c.WarmupSteps == AutoWarmup && c.Epochs == 0 { // else once the number of steps is known
		c.WarmupSteps = min(10, c.Steps/2)
	}
	if c.FromScratch != "" && a.Method == Defaults().Adapter.Method {
		a.Method = MethodFull
	}
}

// Storage is how the base model is stored.
func (c *Config) Storage() llama.LoadOptions {
	o := llama.LoadOptions{DType: c.DType}
	if c.DType.IsQuantised() && c.ComputeDType != "" {
		o.ComputeDType, _ = tensor.ParseDType(c.ComputeDType) // one of the choices
	}
	return o
}

// full reports a run without an adapter.
func (c *Config) full() bool { return c.Adapter.Method == MethodFull }

// Validate reports the first setting that cannot be, by its name. What only the files
// can tell, a run finds before its first step.
func (c Config) Validate() error {
	switch {
	case c.Model == "" && c.FromScratch == "":
		return errors.New("--model: want a folder or file, got none (or from-scratch for a new model)")
	case c.Model != "" && c.FromScratch != "":
		return fmt.Errorf("--from-scratch: want it without model, got both %s and %s", c.FromScratch, c.Model)
	case c.FromScratch != "" && !c.full():
		return fmt.Errorf("--method: want full with from-scratch (a new model has nothing to adapt), got %s", c.Adapter.Method)
	case c.FromScratch != "" && c.Tokenizer == "":
		return errors.New("--tokenizer: want that of the new model, got none")
	case len(c.Data) == 0:
		return errors.New("--data: want at least one file, got none")
	case len(strings.Join(c.paths(), "")) > yamlfile.Most/2:
		return fmt.Errorf("--data: want files whose names have at most %d bytes together, got %d", yamlfile.Most/2, len(strings.Join(c.paths(), "")))
	case c.Out == "":
		return errors.New("--out: want a folder, got none")
	}
	if err := c.checkParts(); err != nil {
		return err
	}
	return c.validateRun()
}

// choices are the settings that take one of a few words.
func (c *Config) choices() map[string][]string {
	return map[string][]string{
		"compute-dtype":  {"", "f32", "bf16", "f16"},
		"format":         {"auto", "alpaca", "completion", "chat", "text"},
		"mixture":        words(data.Weightings()),
		"mixture-unit":   words(data.Units()),
		"loss":           {"answers", "all"},
		"special-tokens": {"text", "parse"},
		"truncate":       {"", "end", "start", "drop", "split"},
		"schedule":       {"constant", "linear", "cosine"},
		"result":         {ResultLast, ResultBest},
		"method":         {"multilora", "lora", "rslora", string(MethodFull)},
		"scaling":        {"scalar", "per-output"},
	}
}

// validateRun checks what does not name files.
func (c Config) validateRun() error {
	choices := c.choices()
	for _, s := range c.Settings() {
		if words, ok := choices[s.Name]; ok && !slices.Contains(words, s.String()) {
			return fmt.Errorf("--%s: want %s, got %q", s.Name, oneOf(words), s.String())
		}
		if err := s.Check(); err != nil {
			return err
		}
	}
	switch {
	case c.ScaleLR == 0:
		return errors.New("--scale-lr: want a positive factor, got 0 (with scales of 0 the adapter would stay the base model)")
	case c.LR*c.ScaleLR > math.MaxFloat32:
		return fmt.Errorf("--scale-lr: want a product with lr that f32 holds, got %v times %v", c.ScaleLR, c.LR)
	case c.WarmupSteps > c.Steps && c.Epochs == 0:
		return fmt.Errorf("--warmup-steps: want at most the %d steps, got %d", c.Steps, c.WarmupSteps)
	case c.Steps > math.MaxUint32/c.Accumulate: // each micro-batch has random numbers of its own
		return fmt.Errorf("--steps: want at most %d micro-batches in all, got %d steps of %d", uint32(math.MaxUint32), c.Steps, c.Accumulate)
	case c.DType == tensor.F64 || !c.DType.IsFloat() && !c.DType.IsQuantised():
		return fmt.Errorf("--dtype: want f32, bf16, f16, q8 or q4, got %s", c.DType)
	case c.full() && c.DType.IsQuantised():
		return fmt.Errorf("--dtype: want f32, bf16 or f16 with method full, got %s (quantised weights cannot train)", c.DType)
	case !c.DType.IsQuantised() && c.ComputeDType != "" && c.ComputeDType != c.DType.String():
		return fmt.Errorf("--compute-dtype: want %[1]s with dtype %[1]s (another is for dtype q8 or q4), got %[2]s", c.DType, c.ComputeDType)
	case c.full() && c.Adapter.Dropout != 0:
		return fmt.Errorf("--dropout: want 0 with method full (it is the adapter's), got %v", c.Adapter.Dropout)
	case c.full() && c.FromAdapter != "":
		return fmt.Errorf("--from-adapter: want none with method full (everything trains), got %s", c.FromAdapter)
	case c.full() && len(c.Adapter.Extra) > 0:
		return fmt.Errorf("--train-also: want none with method full (everything trains), got %v", c.Adapter.Extra)
	case c.EarlyStop > 0 && (c.EvalEvery == 0 || c.HeldOut == 0):
		return fmt.Errorf("--early-stop: want eval-every and held-out beside it, got eval-every %d, held-out %d", c.EvalEvery, c.HeldOut)
	case c.Result == ResultBest && (c.EvalEvery == 0 || c.HeldOut == 0):
		return fmt.Errorf("--result: best wants eval-every and held-out, got eval-every %d, held-out %d", c.EvalEvery, c.HeldOut)
	}
	if _, err := NewLossScale(c.LossScale); err != nil {
		return fmt.Errorf("--loss-scale: %w", err)
	}
	if _, err := optim.NewSchedule(c.Schedule, max(c.WarmupSteps, 0), max(c.Steps, c.WarmupSteps)); err != nil {
		return fmt.Errorf("--schedule: %w", err)
	}
	if c.full() {
		return nil
	}
	return c.Adapter.Validate()
}

// words are the words of a type of words.
func words[T ~string](list []T) (all []string) {
	for _, w := range list {
		all = append(all, string(w))
	}
	return all
}

func oneOf(words []string) string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
