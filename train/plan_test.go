package train

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// planned are kinds of runs of a small model.
var planned = []struct {
	name string
	set  func(*Config)
}{
	{"multilora", func(c *Config) { c.Accumulate = 2 }},
	{"lora bf16", func(c *Config) {
		c.DType, c.Adapter.Method, c.Adapter.Dropout = tensor.BF16, multilora.MethodLoRA, 0.05
	}},
	{"checkpointing", func(c *Config) { c.Checkpointing, c.BatchRows, c.Pack = true, 2, true }},
	{"full", func(c *Config) { c.Adapter.Method = MethodFull }},
	{"full bf16", func(c *Config) { c.Adapter.Method, c.DType = MethodFull, tensor.BF16 }},
	{"q8", func(c *Config) { c.DType = tensor.Q8 }},
	{"dpo", func(c *Config) { c.Objective = DPO }},
	{"orpo, packed", func(c *Config) { c.Objective, c.Pack, c.BatchRows = ORPO, true, 2 }},
	{"kto", func(c *Config) { c.Objective, c.Accumulate = KTO, 2 }},
	{"q4, computing in bf16", func(c *Config) { c.DType, c.ComputeDType = tensor.Q4, "bf16" }},
}

func smallShape() llama.Config {
	return llama.Config{
		ModelType: "llama", Vocab: 900, Hidden: 64, Intermediate: 192, Layers: 3, Heads: 4, KVHeads: 2, HeadDim: 16,
		MaxPositions: 128,
		NormEps:      1e-5, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}
}

// A plan is the peak that the same run has on the CPU, or a little more: its rows are all
// as long as they may be, and those of a run of ever other lengths. What the device pools
// depends on their order.
func TestPlanIsMeasured(t *testing.T) {
	folder := t.TempDir()
	saver, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.New(saver, smallShape(), 1)
	if err == nil {
		err = m.Save(folder)
	}
	if err = errors.Join(err, saver.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range planned {
		t.Run(c.name, func(t *testing.T) {
			cfg := Defaults()
			cfg.Model, cfg.MaxTokens = folder, 100
			c.set(&cfg)
			p, err := NewPlan(cfg, PlanOptions{Device: device.Options{Threads: 2}})
			if err != nil {
				t.Fatal(err)
			}
			measured := measure(t, p.config)
			for _, v := range []struct {
				name           string
				plan, measured int
				least, most    float64
			}{{"peak", p.Peak, measured.Peak, 1, 1.03}, {"taken", p.Peak + p.Reserve, measured.Taken, 0.94, 1.07}} {
				off := float64(v.plan) / float64(v.measured)
				t.Logf("%s: planned %d, measured %d bytes (%+.2f %%)", v.name, v.plan, v.measured, 100*(off-1))
				if off < v.least || off > v.most {
					t.Errorf("%s: planned %d bytes, measured %d", v.name, v.plan, v.measured)
				}
			}
			if p.Memory.sum() != p.Peak {
				t.Errorf("the kinds %+v are %d bytes together, the peak is %d", p.Memory, p.Memory.sum(), p.Peak)
			}
		})
	}
}

// Rows that are just too few for modules to be merged keep more than longer ones, which a plan counts.
func TestPlanOfShorterRows(t *testing.T) {
	m := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(m, []byte(`{"model_type": "llama", "vocab_size": 90, "hidden_size": 64, "intermediate_size": 64,
		"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 128}`), 0o600); err != nil {
		t.Fatal(err)
	}
	peak := func(tokens int) int {
		cfg := Defaults()
		cfg.Model, cfg.MaxTokens, cfg.Adapter.Rank, cfg.BatchRows = m, tokens, 32, 4
		p, err := NewPlan(cfg, PlanOptions{Device: device.Options{Threads: 2}})
		if err != nil {
			t.Fatal(err)
		}
		return p.Peak
	}
	kept := (ops.MergesFrom(64) - 1) / 4 // tokens
	if shorter, longer := peak(kept), peak(kept+1); longer < shorter {
		t.Errorf("%d tokens are planned to take %d bytes, %d tokens %d", kept, shorter, kept+1, longer)
	}
}

// measure makes some steps of a run on the CPU, on rows of all lengths.
func measure(t *testing.T, cfg Config) tensor.Stats {
	t.Helper()
	d, err := device.OpenWith("cpu", device.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := &run{cfg: cfg}
	m, err := r.loadModel(t.Context(), d, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.assemble(m, ""); err != nil {
		t.Fatal(err)
	}
	lengths := random.NewStream(1, random.Test, 0, 0)
	for step := range 12 {
		batches := make([]data.Batch, cfg.Accumulate)
		for i := range batches {
			rows := make([]data.Sequence, cfg.BatchRows)
			for k := range rows {
				n := 1 + lengths.IntN(cfg.MaxTokens)
				if cfg.Pack || step == 5 {
					n = cfg.MaxTokens
				}
				rows[k] = data.Sequence{IDs: make([]int32, n), Labels: make([]int32, n)}
				if cfg.Objective != SFT {
					rows[k].Judgment = data.Chosen
				}
				if cfg.Objective.hasPairs() {
					rejected := rows[k]
					rejected.Judgment = data.Rejected
					rows[k].Rejected = &rejected
				}
			}
			batches[i] = data.Collate(rows)
		}
		if _, err := r.trainer.Step(batches); err != nil {
			t.Fatal(err)
		}
	}
	return d.Stats()
}

// The plan of a model that nobody here has: its parameters are known, and its memory
// follows from a few products.
func TestPlanOfPublishedShapes(t *testing.T) {
	parameters := map[string]int{
		"stories15m": 15191712, "stories110m": 109529856, "tinyllama-1.1b": 1100048384, "llama-7b": 6738415616,
		"llama-2-7b": 6738415616,
		"llama-13b":  13015864320, "llama-30b": 32528943616, "llama-65b": 65285660672,
		"llama-3-8b": 8030261248, "qwen3-0.6b": 596049920, "qwen3-1.7b": 1720574976, "qwen3-4b": 4022468096,
		"qwen3-8b": 8190735360, "gemma-3-1b": 999885952, "gemma-3-4b": 3880263168,
		"qwen3-30b-a3b": 30532122624, "mixtral-8x7b": 46702792704,
	}
	active := map[string]int{"qwen3-30b-a3b": 3353032704, "mixtral-8x7b": 12879925248}
	names := llama.Shapes()
	if !slices.Equal(names, []string{"stories15m", "stories110m", "qwen3-0.6b", "gemma-3-1b", "tinyllama-1.1b",
		"qwen3-30b-a3b", "qwen3-1.7b", "qwen3-4b", "gemma-3-4b", "qwen3-8b", "mixtral-8x7b", "llama-7b", "llama-3-8b",
		"llama-2-7b", "llama-13b", "llama-30b", "llama-65b"}) {
		t.Fatalf("shapes %v", names)
	}
	for _, name := range names {
		cfg := Defaults()
		cfg.Model, cfg.DType = name, tensor.BF16
		cfg.MaxTokens, cfg.BatchRows = 256, 8
		cfg.Adapter.Rank, cfg.Adapter.Targets = 32, []string{"q_proj", "k_proj", "v_proj", "o_proj"}
		p, err := NewPlan(cfg, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := llama.Shape(name)
		queries, keys := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
		trained := c.Layers * (96*(2*(c.Hidden+queries)+2*(c.Hidden+keys)) + 4*3)
		if p.Parameters != parameters[name] || p.Trained != trained || p.Step != 2048 {
			t.Errorf("%s: %d parameters, %d trained, %d tokens a step; want %d, %d, 2048", name, p.Parameters,
				p.Trained, p.Step, parameters[name], trained)
		}
		if want := cmp.Or(active[name], p.Parameters); p.Active != want {
			t.Errorf("%s: %d parameters for a token, want %d", name, p.Active, want)
		}
		for _, k := range []struct {
			name      string
			got, want int
		}{
			{"weights", p.Memory.Weights, 2 * p.Parameters}, {"adapters", p.Memory.Adapters, 4 * trained},
			{"gradients", p.Memory.Gradients, 4 * trained}, {"moments", p.Memory.Moments, 8 * trained},
		} {
			if off := float64(k.got) / float64(k.want); off < 1 || off > 1.07 { // sizes are rounded up
				t.Errorf("%s: %d bytes of %s, want %d", name, k.got, k.name, k.want)
			}
		}
	}
}

func TestPlanDoesNotFit(t *testing.T) {
	cfg := Defaults()
	cfg.Model = "llama-7b"
	p, err := NewPlan(cfg, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, available := range []int{0, p.Need()} {
		if err := p.Fits(Room{Device: available}); err != nil {
			t.Errorf("with %d bytes: %v", available, err)
		}
	}
	for _, c := range []struct {
		available int
		want      []string // settings of the last change
		fits      bool
	}{
		{36 << 30, []string{"max-tokens: 256"}, true},
		{9 << 30, []string{"batch-rows: 1, accumulate: 4", "gradient-checkpointing: true",
			"dtype: q8, compute-dtype: bf16"}, true},
		{1 << 30, []string{"batch-rows: 1, accumulate: 4", "gradient-checkpointing: true",
			"dtype: q4, compute-dtype: bf16", "max-tokens: 256"}, false},
	} {
		e, ok := errors.AsType[*DoesNotFitError](p.Fits(Room{Device: c.available}))
		if !ok {
			t.Fatalf("%d bytes are enough", c.available)
		}
		last := e.Changes[len(e.Changes)-1]
		if !slices.Equal(last.Settings, c.want) || (last.Need <= c.available) != c.fits {
			t.Errorf("with %d bytes the last change is %+v, want %v", c.available, last, c.want)
		}
		if text := e.Error(); !strings.Contains(text, "dtype: q8") || !strings.Contains(text, bytesText(p.Need())) {
			t.Errorf("error %q", text)
		}
	}
}

// The process has its program and data beside the tensors, and where those are too much, what
// allows no more is named.
func TestPlanDoesNotFitTheProcess(t *testing.T) {
	cfg := Defaults()
	cfg.Model = "llama-7b"
	p, err := NewPlan(cfg, PlanOptions{DataTokens: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	need := p.Need() + p.beside()
	if p.beside() < programBytes+20<<20 || need > p.Process {
		t.Errorf("%d bytes beside %d of tensors, %d in all", p.beside(), p.Need(), p.Process)
	}
	if err := p.Fits(Room{Device: p.Need(), Process: need}); err != nil {
		t.Error(err)
	}
	e, ok := errors.AsType[*DoesNotFitError](p.Fits(Room{Device: p.Need(), Process: need - 1,
		By: "the control group /a"}))
	if !ok || e.Need != need || e.Available != need-1 || e.Changes[0].Need <= p.beside() {
		t.Fatalf("%+v", e)
	}
	if want := " in the control group /a for the process with its program and data; with other settings:"; !strings.Contains(e.Error(), want) {
		t.Errorf("error %q, want %q", e, want)
	}
}

// On a GPU the tensors are the same but for what is cheap to make again, which stays there, and for the scaled B of all layers,
// which stay there in f32 too, and on the way back their gradients; what the CPU's kernels keep is not counted: neither for the run itself nor for the changes that would
// make it fit.
func TestPlanForAGPU(t *testing.T) {
	cfg := Defaults()
	cfg.Model = "llama-7b"
	onCPU, err := NewPlan(cfg, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(cfg, PlanOptions{GPU: true})
	if err != nil {
		t.Fatal(err)
	}
	const scaled, largest = 32 * 24 * (5*4096 + 2*11008) * 4, 24 * 11008 * 4 // of all layers, of the one of most outputs
	const cheap = 32 * (2*4096 + 11008) * 4                                  // of a token: what norms and SwiGLU give
	more := p.Peak - onCPU.Peak - cheap*p.Rows*p.Tokens
	same := p.Memory
	same.Activations, same.Logits = onCPU.Memory.Activations, onCPU.Memory.Logits
	// Sizes are rounded up. For rows of other lengths the pool keeps a sixteenth of what a step takes and gives back
	// (tensor.Device), and at most a few blocks more or less.
	rest := p.Reserve - onCPU.Reserve - (p.Peak-onCPU.Peak)/16
	if more < scaled-largest || more > 2*scaled || max(rest, -rest) > 4<<20 || same != onCPU.Memory {
		t.Errorf("%d bytes more, of %d scaled, %d of the pool's rest: %+v, on the CPU %+v", more, scaled, rest, p, onCPU)
	}
	if p.Scratch != 0 || p.Process != 0 || onCPU.Scratch == 0 {
		t.Errorf("scratch %d and process %d bytes, on the CPU %d and %d", p.Scratch, p.Process, onCPU.Scratch,
			onCPU.Process)
	}
	if err := p.Fits(Room{Device: p.Peak}); err != nil || onCPU.Fits(Room{Device: onCPU.Peak}) == nil {
		t.Errorf("with as much as its tensors take the run does not fit, or on the CPU it does: %v", err)
	}
	if text := p.String(); strings.Contains(text, "scratch") || strings.Contains(text, "process") ||
		!strings.Contains(text, "reserve") {
		t.Errorf("for people: %s", text)
	}
	e, ok := errors.AsType[*DoesNotFitError](p.Fits(Room{Device: p.Peak - 1}))
	if !ok {
		t.Fatal("it fits in less than its peak")
	}
	cfg.Checkpointing = true
	want, err := NewPlan(cfg, PlanOptions{GPU: true})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(e.Changes, func(c Change) bool {
		return slices.Equal(c.Settings, []string{"gradient-checkpointing: true"})
	})
	if i < 0 || e.Changes[i].Need != want.Peak {
		t.Errorf("changes %+v, with checkpointing %d bytes are needed", e.Changes, want.Peak)
	}
}

func TestPlanOfWhatCannotBe(t *testing.T) {
	for want, set := range map[string]func(*Config){
		`llama-13b, llama-30b, llama-65b, got "nowhere"`: func(c *Config) { c.Model = "nowhere" },
		"want at most the 2048 positions":                func(c *Config) { c.MaxTokens = 4096 },
		"--batch-rows":                                   func(c *Config) { c.BatchRows = 0 },
		"matches no layer":                               func(c *Config) { c.Adapter.Targets = []string{"nothing"} },
	} {
		cfg := Defaults()
		cfg.Model = "llama-7b"
		set(&cfg)
		if _, err := NewPlan(cfg, PlanOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// The process needs the data beside its tensors: as many bytes as the run says, or as the
// files' sizes let guess.
func TestPlanCountsData(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(text, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	process := func(tokens int, files ...string) int {
		cfg := Defaults()
		cfg.Model, cfg.Data, cfg.Pack = "llama-7b", Files(files...), true
		p, err := NewPlan(cfg, PlanOptions{DataTokens: tokens})
		if err != nil {
			t.Fatal(err)
		}
		return p.Process
	}
	without := process(0)
	if n := process(1000, text) - without; n != 20000 {
		t.Errorf("%d bytes for 1000 tokens, want 20 each", n)
	}
	if n := process(0, text, text) - without; n < 20*2<<20/5 || n > 20*2<<20/3 {
		t.Errorf("%d bytes for two MiB of text, want those of a token for 3 to 5 of its bytes", n)
	}
	if n := process(0, "nowhere.json") - without; n != 0 {
		t.Errorf("%d bytes for a file that is not there", n)
	}
}
