package train

import (
	"maps"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/preference"
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
	// AsStored leaves the weights of a quantized model as its files have them, where DType is f32 and the run
	// has an adapter: the setting dtype is auto.
	AsStored bool
	// ComputeDType is the storage type of the activations where DType is q8, q4, q4_k or nf4, and with AsStored, where a
	// model that is not quantized has it, too: f32, bf16 or f16. Empty: f32, with AsStored what ChooseDType says, and
	// elsewhere DType.
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
	// Fields are other names of fields, each our=theirs; see data.ParseFields.
	Fields   []string
	Template string // chat template by name; empty: the model's
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
	// HeldOutSplit is the split of the data that these are of; see data.SplitFiles. Empty: they are of the rows to train on.
	HeldOutSplit string
	Loaders      int  // goroutines that make batches
	SkipBad      bool // pass over rows that cannot be read
	MaxDataBytes int  // of all rows, see data.ReadOptions; 0: by the memory there is

	Objective Objective
	// The losses of DPO, ORPO and KTO: see package preference.
	DPOLoss                            preference.DPOLoss
	Beta                               float64 // of DPO and KTO
	LabelSmoothing                     float64 // of DPO
	ORPOLambda                         float64
	DesirableWeight, UndesirableWeight float64 // of KTO

	// Branches are trained adapters that become the modules of one MultiLoRA; see
	// multilora.AttachBranches.
	Branches    []string
	FromAdapter string           // adapter to go on with, in any of the forms that multilora.Open takes
	Adapter     multilora.Config // its Method may be MethodFull

	Steps         int     // optimizer steps
	Epochs        float64 // passes over the data, in place of Steps where it is not 0
	BatchRows     int     // rows of one micro-batch
	Accumulate    int     // micro-batches of one step
	LR            float64 // peak learning rate
	ScaleLR       float64 // factor on LR for the scales s
	LoRAPlusRatio float64 // factor on LR for the adapter's B (LoRA+)
	Train         string  // TrainAll or TrainScales
	WeightDecay   float64
	Schedule      string
	WarmupSteps   int // AutoWarmup: 10, or half of Steps if that is less
	ClipNorm      float64
	LossScale     float64 // the first, of f16 activations; see LossScale
	Seed          uint64

	Checkpointing bool // recompute each block on the way back

	// Shard is what several processes (Options.World) share out among them, beside the work: ShardNothing, ShardWeights
	// or, where everything trains, ShardOptimizer.
	Shard string
	// Offload is what stays in the model's file, or in the host's memory, until it is used: OffloadNothing or OffloadWeights.
	Offload string

	Out       string // the run's folder
	EvalEvery int    // steps between measurements; 0: only before and after
	EarlyStop int    // measurements without a better one until the run ends; 0: never
	// FinalWeights chooses those that end in Out: LastWeights or BestWeights.
	FinalWeights string
	EvalTasks    []string // scored where the held-out loss is measured; see package tasks
	TaskData     string   // folder of their data sets
	EvalLimit    int      // examples of each at most; 0: all
	BestBy       string   // BestByHeldOut, BestByTasks or one of EvalTasks
	SaveEvery    int      // steps between checkpoints; 0: only when interrupted
	Keep         int      // checkpoints kept, beside the best

	given map[string]place // the settings that were set as such, by Setting or Read; never changed, but replaced
}

// AutoWarmup leaves Config.WarmupSteps to the number of steps.
const AutoWarmup = -1

// What Config.FinalWeights chooses; the setting is called result.
const (
	LastWeights = "last" // the weights after the last step
	BestWeights = "best" // those with the lowest held-out loss
)

// Defaults are the values of every setting that has a sensible one; see Settings.
func Defaults() Config {
	var c Config
	for _, s := range c.Settings() {
		s.value.reset()
	}
	return c
}

// Resolve puts values in place of those settings whose default depends on others, and
// takes away what says nothing.
func (c *Config) Resolve() {
	a := &c.Adapter
	switch quantized := c.DType.IsQuantized(); {
	case quantized && c.ComputeDType == "":
		c.ComputeDType = tensor.F32.String()
	case !quantized && !(c.AsStored && c.DType == tensor.F32) && c.ComputeDType == c.DType.String():
		c.ComputeDType = ""
	}
	given := maps.Clone(c.given)
	maps.DeleteFunc(given, func(name string, _ place) bool { // which leave the choice to others
		return name == "modules" && a.Modules == 0 || name == "alpha" && a.Alpha == 0
	})
	c.given = given
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

// Storage returns how the base model is stored, or an error where ComputeDType names no type.
func (c *Config) Storage() (o llama.LoadOptions, err error) {
	o.DType, o.AsStored, o.Offload = c.DType, c.asStored(), c.Offload == OffloadWeights
	if (c.DType.IsQuantized() || o.AsStored) && c.ComputeDType != "" {
		o.ComputeDType, err = tensor.ParseDType(c.ComputeDType)
	}
	if err != nil {
		err = c.wrong("compute-dtype", err)
	}
	return o, err
}

// asStored reports whether a quantized model is to stay as it is stored. What trains as a whole cannot.
func (c *Config) asStored() bool { return c.AsStored && c.DType == tensor.F32 && !c.full() }

// note remembers where a setting was given.
func (c *Config) note(name string, at place) {
	given := map[string]place{name: at}
	for other, there := range c.given { // a copy: the Config may be one, too
		if other != name {
			given[other] = there
		}
	}
	c.given = given
}
