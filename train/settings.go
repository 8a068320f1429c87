package train

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/tensor"
)

// Setting is one setting of a run: a flag of agora train, a key of its YAML file, a row
// of docs/configuration.md. It implements pflag.Value on a field of its Config.
type Setting struct {
	Name   string
	Group  string
	Help   string
	value  any // pointer to the field
	given  bool
	config *Config // that has the field; nil for the zero Setting
}

// The groups of settings, in the order of the documentation.
const (
	groupModel   = "Model"
	groupData    = "Data"
	groupAdapter = "What trains"
	groupSteps   = "Steps"
	groupRun     = "The run"
)

// Settings lists every setting of c, to be read and set there.
func (c *Config) Settings() []*Setting {
	a := &c.Adapter
	all := []*Setting{
		{Group: groupModel, Name: "model", value: &c.Model, Help: "base model: a folder (config.json, model.safetensors, tokenizer), or a GGUF file"},
		{Group: groupModel, Name: "from-scratch", value: &c.FromScratch, Help: "config.json of a new model that is trained from random weights, in place of model"},
		{Group: groupModel, Name: "tokenizer", value: &c.Tokenizer, Help: "folder or file of the tokenizer (default: the model's)"},
		{Group: groupModel, Name: "eos-token", value: &c.EOSToken, Help: "token that ends a text and an answer, as the vocabulary spells it (default: what the tokenizer's files name, else the model's)"},
		{Group: groupModel, Name: "dtype", value: &c.DType, Help: "storage of frozen weights and activations: f32, bf16 or f16; of frozen weights alone: q8 or q4"},
		{Group: groupModel, Name: "compute-dtype", value: &c.ComputeDType, Help: "storage of activations with dtype q8 or q4: f32, bf16 or f16 (default: f32); elsewhere it is dtype's"},

		{Group: groupData, Name: "data", value: &c.Data, Help: "files of rows: JSON, JSONL or text, each may be .gz; or the tasks of a mixture, each {name: NAME, path: FILE, weight: W, max-epochs: N} or, with task: mmlu, boolq, multirc, rte, wic or gsm8k, the path of that data set"},
		{Group: groupData, Name: "mixture", value: &c.Mixture, Help: "how often rows of a task are drawn: by size, equal, temperature (size^(1/mixture-temperature)) or weights (those of data)"},
		{Group: groupData, Name: "mixture-temperature", value: &c.MixtureTemperature, Help: "of mixture temperature: 1 is by size, more is more equal"},
		{Group: groupData, Name: "mixture-unit", value: &c.MixtureUnit, Help: "what a mixture's shares are shares of: examples or tokens"},
		{Group: groupData, Name: "format", value: &c.Format, Help: "form of the rows: auto, alpaca (instruction, input, output), completion (prompt, completion), chat (messages) or text"},
		{Group: groupData, Name: "ignore-fields", value: &c.IgnoreFields, Help: "fields of rows and of their messages to pass over; one that no form knows is an error otherwise, unless it is an id, a source or empty"},
		{Group: groupData, Name: "template", value: &c.Template, Help: "chat template for chat rows, by name (default: the model's own)"},
		{Group: groupData, Name: "template-date", value: &c.TemplateDate, Help: "date, 2026-11-28, or time, 2026-11-28T09:30:00Z, for templates that ask for it (default: the run's start, which the run keeps)"},
		{Group: groupData, Name: "loss", value: &c.Loss, Help: "tokens that count in the loss: answers or all"},
		{Group: groupData, Name: "special-tokens", value: &c.SpecialTokens, Help: "special tokens that prompts, answers and texts spell: text (they are letters) or parse (they are the tokens, and BOS and EOS are not put where a row spells them itself); in a chat they are letters"},
		{Group: groupData, Name: "max-tokens", value: &c.MaxTokens, Help: "most tokens of a sequence"},
		{Group: groupData, Name: "truncate", value: &c.Truncate, Help: "what becomes of longer rows: end (cut the end), start (cut the prompt's start), drop, or split (go on in a new sequence); default: split for text, else end"},
		{Group: groupData, Name: "pack", value: &c.Pack, Help: "put several short rows into one sequence of max-tokens, without attention between them"},
		{Group: groupData, Name: "held-out", value: &c.HeldOut, Help: "rows kept out of training to measure the loss on, chosen by a hash of their content; 0: none"},
		{Group: groupData, Name: "max-data-bytes", value: &c.MaxDataBytes, Help: "most bytes of all files of data, unpacked, with 256 more for each row; 0: a quarter of the memory that is left, and then files that unpack to more than 200 times their size are refused, too"},
		{Group: groupData, Name: "loaders", value: &c.Loaders, Help: "goroutines that make batches ahead; the batches are the same for any number"},

		{Group: groupAdapter, Name: "from-adapter", value: &c.FromAdapter, Help: "adapter that training goes on with: a folder of Agora or PEFT, or a GGUF file; method, modules, rank, alpha, scaling, targets and train-also are its own, and dropout unless it is given"},
		{Group: groupAdapter, Name: "method", value: (*string)(&a.Method), Help: "multilora, lora, rslora, or full (every parameter, no adapter)"},
		{Group: groupAdapter, Name: "modules", value: &a.Modules, Help: "parallel modules of MultiLoRA; 0: 3, or 1 for LoRA"},
		{Group: groupAdapter, Name: "rank", value: &a.Rank, Help: "rank of each module"},
		{Group: groupAdapter, Name: "alpha", value: &a.Alpha, Help: "scale alpha/rank of the modules' sum; 0: the rank"},
		{Group: groupAdapter, Name: "scaling", value: (*string)(&a.Scaling), Help: "learnable scale of a MultiLoRA module: scalar or per-output"},
		{Group: groupAdapter, Name: "targets", value: &a.Targets, Help: "layers to adapt: names or patterns, or all-linear"},
		{Group: groupAdapter, Name: "train-also", value: &a.Extra, Help: "parameters of the base model that train beside the adapter: names or patterns (norm, lm_head, …)"},
		{Group: groupAdapter, Name: "dropout", value: &a.Dropout, Help: "dropout before A"},

		{Group: groupSteps, Name: "steps", value: &c.Steps, Help: "optimizer steps"},
		{Group: groupSteps, Name: "epochs", value: &c.Epochs, Help: "passes over the data, in place of steps; 0: steps counts"},
		{Group: groupSteps, Name: "batch-rows", value: &c.BatchRows, Help: "sequences of a micro-batch"},
		{Group: groupSteps, Name: "accumulate", value: &c.Accumulate, Help: "micro-batches of a step"},
		{Group: groupSteps, Name: "lr", value: &c.LR, Help: "peak learning rate"},
		{Group: groupSteps, Name: "scale-lr", value: &c.ScaleLR, Help: "factor on the learning rate of MultiLoRA's scales s"},
		{Group: groupSteps, Name: "weight-decay", value: &c.WeightDecay, Help: "AdamW's weight decay of matrices"},
		{Group: groupSteps, Name: "schedule", value: &c.Schedule, Help: "of the learning rate: constant, linear or cosine"},
		{Group: groupSteps, Name: "warmup-steps", value: &c.WarmupSteps, Help: "steps until the peak learning rate; -1: 10, or half of the steps if that is less"},
		{Group: groupSteps, Name: "clip-norm", value: &c.ClipNorm, Help: "largest norm of the gradient; 0: no clipping"},
		{Group: groupSteps, Name: "loss-scale", value: &c.LossScale, Help: "factor on the gradients inside a model with activations in f16 (dtype or compute-dtype), at the start: a power of two; it halves when they overflow (that step changes nothing) and doubles after 2000 steps without"},
		{Group: groupSteps, Name: "seed", value: &c.Seed, Help: "of initial values, order of rows and dropout"},
		{Group: groupSteps, Name: "gradient-checkpointing", value: &c.Checkpointing, Help: "recompute each block on the way back: less memory, a third more time"},

		{Group: groupRun, Name: "out", value: &c.Out, Help: "folder of the run: the result, metrics.jsonl, tensorboard/, checkpoints/"},
		{Group: groupRun, Name: "eval-every", value: &c.EvalEvery, Help: "steps between measurements of the held-out loss; 0: before and after only"},
		{Group: groupRun, Name: "early-stop", value: &c.EarlyStop, Help: "end after so many measurements without a lower held-out loss; 0: never"},
		{Group: groupRun, Name: "result", value: &c.Result, Help: "weights that end in out: last, or best (lowest held-out loss)"},
		{Group: groupRun, Name: "save-every", value: &c.SaveEvery, Help: "steps between checkpoints; 0: only when interrupted"},
		{Group: groupRun, Name: "keep", value: &c.Keep, Help: "checkpoints that are kept, beside the best"},
	}
	for _, s := range all {
		s.config = c
	}
	return all
}

// note remembers that the setting was given and is not a default.
func (s *Setting) note() {
	s.given = true
	if s.config != nil && !slices.Contains(s.config.given, s.Name) {
		s.config.given = append(slices.Clip(s.config.given), s.Name)
	}
}

// heights are the settings that may change when a run is resumed although numbers depend on
// them: a run that has diverged goes on at a lower rate. What has changed, and from which
// step on, stands in the checkpoints and the metrics.
var heights = []string{"lr", "scale-lr"}

// numberless are the settings that may change when a run is resumed: they do not touch
// its numbers. So may places, if the same lies there.
var numberless = map[string]bool{"out": true, "loaders": true, "keep": true, "save-every": true, "max-data-bytes": true}

// String is the value as Set takes it.
func (s *Setting) String() string {
	switch v := s.value.(type) {
	case *string:
		return *v
	case *[]string:
		return strings.Join(*v, ",")
	case *[]Part:
		list := make([]string, len(*v))
		for i, p := range *v {
			list[i] = p.String()
		}
		return strings.Join(list, ",")
	case *float64:
		return strconv.FormatFloat(*v, 'g', -1, 64)
	case fmt.Stringer: // *tensor.DType
		return v.String()
	case *int:
		return strconv.Itoa(*v)
	case *uint64:
		return strconv.FormatUint(*v, 10)
	case *bool:
		return strconv.FormatBool(*v)
	}
	return "" // the zero Setting, which package pflag asks about
}

// Type is how the help names the values.
func (s *Setting) Type() string {
	switch s.value.(type) {
	case *[]string, *[]Part:
		return "list"
	case *float64:
		return "number"
	case *int, *uint64:
		return "int"
	case *bool:
		return "bool"
	}
	return "string"
}

// Set reads a value. A list is parted by commas, and what is empty is none of its items;
// setting it again adds to it.
func (s *Setting) Set(text string) (err error) {
	want := ""
	switch v := s.value.(type) {
	case *string:
		*v = text
	case *[]string:
		if !s.given {
			*v = nil
		}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*v = append(*v, item)
			}
		}
	case *[]Part:
		if !s.given {
			*v = nil
		}
		items := []string{text} // a task in braces has commas of its own
		if !strings.HasPrefix(text, "{") {
			items = strings.Split(text, ",")
		}
		for _, item := range items {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			p, err := parsePart(item)
			if err != nil {
				return err
			}
			*v = append(*v, p)
		}
	case *float64:
		want = "a number"
		*v, err = strconv.ParseFloat(text, 64)
	case *int:
		want = "a whole number"
		*v, err = strconv.Atoi(text)
	case *uint64:
		want = "a whole number of at least 0"
		*v, err = strconv.ParseUint(text, 10, 64)
	case *bool:
		want = "true or false"
		*v, err = strconv.ParseBool(text)
	case *tensor.DType:
		want = "f32, bf16, f16, q8 or q4"
		*v, err = tensor.ParseDType(text)
	}
	if err != nil {
		return fmt.Errorf("want %s, got %q", want, text)
	}
	s.note()
	return nil
}

// IsBool reports a setting that a flag without a value sets.
func (s *Setting) IsBool() bool {
	_, ok := s.value.(*bool)
	return ok
}

// CopyFrom takes the value of the same setting of another Config.
func (s *Setting) CopyFrom(other *Setting) {
	s.note()
	switch v := s.value.(type) {
	case *string:
		*v = *other.value.(*string)
	case *[]string:
		*v = slices.Clone(*other.value.(*[]string))
	case *[]Part:
		*v = slices.Clone(*other.value.(*[]Part))
	case *float64:
		*v = *other.value.(*float64)
	case *int:
		*v = *other.value.(*int)
	case *uint64:
		*v = *other.value.(*uint64)
	case *bool:
		*v = *other.value.(*bool)
	case *tensor.DType:
		*v = *other.value.(*tensor.DType)
	}
}
