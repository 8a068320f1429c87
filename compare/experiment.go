package compare

import "github.com/agora-ml/agora/multilora"

// Experiment is what is compared, and how.
type Experiment struct {
	Name    string      `yaml:"name" json:"name"`
	About   string      `yaml:"about" json:"about,omitempty"`
	Base    Base        `yaml:"base" json:"base"`
	Tasks   []TaskFiles `yaml:"tasks" json:"tasks,omitempty"` // of a Base.Model; a family has its own
	Train   Training    `yaml:"train" json:"train"`
	Seeds   Seeds       `yaml:"seeds" json:"seeds"`
	Measure Measure     `yaml:"measure" json:"measure"`
	Methods []Method    `yaml:"methods" json:"methods"`
	// Pairs are the differences that are looked at, each the first method less the second. The first
	// pair is the one that the experiment was made for.
	Pairs [][]string `yaml:"pairs" json:"pairs"`
	Speed Speed      `yaml:"speed" json:"speed"`
}

// Base is the model that every run begins with: one that learns a family of generated tasks from
// scratch, once for each of Seeds, or one that is there.
type Base struct {
	Generated string   `yaml:"generated" json:"generated,omitempty"`
	Steps     int      `yaml:"steps" json:"steps,omitempty"`
	LR        float64  `yaml:"lr" json:"lr,omitempty"`
	Seeds     []uint64 `yaml:"seeds" json:"seeds,omitempty"`

	Model        string `yaml:"model" json:"model,omitempty"` // a folder or a GGUF file
	DType        string `yaml:"dtype" json:"dtype,omitempty"` // "": f32
	ComputeDType string `yaml:"compute-dtype" json:"compute_dtype,omitempty"`
	MaxTokens    int    `yaml:"max-tokens" json:"max_tokens,omitempty"` // of a training row
}

// TaskFiles is a task that is read: one that agora eval knows, scored as there, or rows of prompt
// and completion, scored by writing.
type TaskFiles struct {
	Name  string `yaml:"name" json:"name"`
	Known string `yaml:"known" json:"known,omitempty"` // boolq, …
	Data  string `yaml:"data" json:"data,omitempty"`   // of a known one: the folder that holds a folder of its name
	Train string `yaml:"train" json:"train,omitempty"` // of others: a file of rows
	Test  string `yaml:"test" json:"test,omitempty"`
}

// Training is what all runs have in common.
type Training struct {
	// Steps are the lengths of runs that are compared, each with a schedule and tuned rates of its own.
	Steps          []int   `yaml:"steps" json:"steps"`
	Schedule       string  `yaml:"schedule" json:"schedule"`
	Warmup         int     `yaml:"warmup" json:"warmup"`
	BatchRows      int     `yaml:"batch-rows" json:"batch_rows"`
	MicroRows      int     `yaml:"micro-rows" json:"micro_rows"` // 0: all rows of a step at once
	ClipNorm       float64 `yaml:"clip-norm" json:"clip_norm"`   // 0: none
	CurveEvery     int     `yaml:"curve-every" json:"curve_every"`
	ValidationRows int     `yaml:"validation-rows" json:"validation_rows"` // of a task
	TestRows       int     `yaml:"test-rows" json:"test_rows"`             // of a task; 0: all that there are
	// CurveRows is how many test rows of a known task, which takes long to score, are scored at every
	// measurement on the way (of MMLU so many a subject); 0: none, and its curve is the loss alone.
	CurveRows int `yaml:"curve-rows" json:"curve_rows,omitempty"`
}

// Seeds are those of runs. The k-th of a list begins with the k-th base, in turn.
type Seeds struct {
	Tune  []uint64 `yaml:"tune" json:"tune"`   // for learning rates, never scored
	Score []uint64 `yaml:"score" json:"score"` // of methods that are Deciding
	Fewer int      `yaml:"fewer" json:"fewer"` // so many of Score for the others
	// Rounds is how often every method gets another try at most while the best rate of one is the
	// last of its grid.
	Rounds int `yaml:"rounds" json:"rounds"`
}

// Method is one row of the table.
type Method struct {
	Name     string    `yaml:"name" json:"name"`
	Method   string    `yaml:"method" json:"method"` // see Methods
	Modules  int       `yaml:"modules" json:"modules,omitempty"`
	Rank     int       `yaml:"rank" json:"rank,omitempty"`   // of each module
	Alpha    float64   `yaml:"alpha" json:"alpha,omitempty"` // 0: the rank
	Scaling  string    `yaml:"scaling" json:"scaling,omitempty"`
	Targets  []string  `yaml:"targets" json:"targets,omitempty"`     // none: all linear layers
	ScaleLR  float64   `yaml:"scale-lr" json:"scale_lr,omitempty"`   // times lr, of the scalings; 0: 1
	BRate    float64   `yaml:"lora-plus" json:"lora_plus,omitempty"` // times lr, of B (LoRA+); 0: 1
	LR       []float64 `yaml:"lr" json:"lr"`                         // ascending
	Deciding bool      `yaml:"deciding" json:"deciding"`             // has all seeds

	// Alone has every task learned by an adapter of its own, each for this times the steps that are
	// the task's share: at 1 it reads as many rows as where all tasks are learned by one. 0: together.
	Alone float64 `yaml:"alone" json:"alone,omitempty"`
	// From is the row of such adapters that the methods merged and scales begin with.
	From    string                  `yaml:"from" json:"from,omitempty"`
	Merge   multilora.CombineMethod `yaml:"merge" json:"merge,omitempty"` // of merged
	Density float64                 `yaml:"density" json:"density,omitempty"`
	// Weights are what merged tries in place of rates: one for all adapters, ascending.
	Weights []float64 `yaml:"weights" json:"weights,omitempty"`
}

// Speed is how step times are measured, after everything else, one method after the other in turns.
type Speed struct {
	Rounds int `yaml:"rounds" json:"rounds"` // 0: not at all
	Steps  int `yaml:"steps" json:"steps"`   // of a method in a round
}

// Measure is what methods are compared by.
type Measure string

// The measures.
const (
	// Letters is the share of letters that stand where they should, of answers that are written.
	Letters Measure = "letters"
	// Exact is the share of right answers: what was written, or the choice that is likeliest.
	Exact Measure = "exact"
	// Loss is nats a token of the right answers. Less is better.
	Loss Measure = "loss"
)

// Measures lists every Measure.
func Measures() []Measure { return []Measure{Letters, Exact, Loss} }

// Defaults is an experiment without a base, methods or seeds.
func Defaults() Experiment {
	return Experiment{
		Train: Training{
			Schedule: "cosine", Warmup: 20, BatchRows: 32, ClipNorm: 1,
			CurveEvery: 300, ValidationRows: 64, TestRows: 128,
		},
		Seeds: Seeds{Fewer: 3, Rounds: 2}, Measure: Letters,
		Speed: Speed{Rounds: 10, Steps: 20},
	}
}

// method finds a row of the table by its name.
func (e *Experiment) method(name string) (Method, bool) {
	for _, m := range e.Methods {
		if m.Name == name {
			return m, true
		}
	}
	return Method{}, false
}

// scored are the seeds that a method is scored on.
func (e *Experiment) scored(m Method) []uint64 {
	if m.Deciding {
		return e.Seeds.Score
	}
	return e.Seeds.Score[:min(e.Seeds.Fewer, len(e.Seeds.Score))]
}
