package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/multilora"
)

// tensorsOf are the tensors of an adapter's folder by name.
func tensorsOf(t *testing.T, dir string) map[string][]float32 {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, multilora.TensorFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]float32{}
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = x.Float32s(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Two adapters, each of one task, become modules of one whose scalings alone are learned on both. A run
// that is interrupted on the way ends with the same bits, and one whose branch has changed is refused.
func TestBranchesOfARun(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	both := mixtureRun(t)
	both.Steps, both.EvalEvery, both.SaveEvery = 6, 0, 2
	var branches []string
	for i, part := range both.Data {
		c := both
		c.Out, c.Data, c.Mixture = filepath.Join(t.TempDir(), "run"), Files(part.Paths...), "size"
		c.Adapter.Method, c.Adapter.Rank, c.Adapter.Modules = multilora.MethodLoRA, 2+i, 1
		if _, err := Run(t.Context(), d, c, watcher{}, Options{}); err != nil {
			t.Fatal(err)
		}
		branches = append(branches, c.Out)
	}
	both.Branches, both.Train = branches, TrainScales
	parts := both
	parts.Out = filepath.Join(t.TempDir(), "run")
	if _, err := Run(t.Context(), d, both, watcher{}, Options{}); err != nil {
		t.Fatal(err)
	}
	interruptedAfter(t, d, parts, 3)
	changed := filepath.Join(both.Branches[1], multilora.TensorFile)
	text, err := os.ReadFile(changed)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(changed, text, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), d, parts, watcher{}, Options{}); err == nil ||
		!strings.Contains(err.Error(), "--branches") {
		t.Errorf("with a branch that has changed: %v", err)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(changed, text, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), d, parts, watcher{}, Options{}); err != nil {
		t.Fatal(err)
	}
	whole, resumed := tensorsOf(t, both.Out), tensorsOf(t, parts.Out)
	first, second := tensorsOf(t, both.Branches[0]), tensorsOf(t, both.Branches[1])
	for name, values := range whole {
		if !slices.Equal(values, resumed[name]) {
			t.Errorf("%s differs in the resumed run", name)
		}
		layer, module, _ := strings.Cut(name, ".A.")
		switch {
		case strings.Contains(name, ".s."):
			if values[0] == 0.5 {
				t.Errorf("%s has not moved from 1/2", name)
			}
		case module == "0" && !slices.Equal(values[:len(first[layer+".A.0"])], first[layer+".A.0"]),
			module == "1" && !slices.Equal(values, second[layer+".A.0"]):
			t.Errorf("%s is not the branch's", name)
		}
	}
}

func TestBranchesThatCannotBe(t *testing.T) {
	for want, with := range map[string]func(*Config){
		"--branches: want none with method full": func(c *Config) {
			c.Branches, c.Adapter.Method = []string{"a"}, MethodFull
		},
		"--branches: want none with from-adapter": func(c *Config) {
			c.Branches, c.FromAdapter = []string{"a"}, "b"
		},
		"--train: want all with method lora": func(c *Config) {
			c.Train, c.Adapter.Method, c.Adapter.Modules = TrainScales, multilora.MethodLoRA, 1
		},
		"--train: want all or scales": func(c *Config) { c.Train = "some" },
		"--lora-plus-ratio: want 1 with method full": func(c *Config) {
			c.LoRAPlusRatio, c.Adapter.Method = 4, MethodFull
		},
		"--lora-plus-ratio: want 1 with train":     func(c *Config) { c.LoRAPlusRatio, c.Train = 4, TrainScales },
		"--best-by: want held-out, or beside":      func(c *Config) { c.BestBy = "boolq" },
		"--eval-tasks: task \"bool\": want one of": func(c *Config) { c.EvalTasks = []string{"bool"} },
		"--eval-tasks: want rte once": func(c *Config) {
			c.EvalTasks, c.TaskData = []string{"rte", "rte"}, "d"
		},
		"--eval-tasks: want task-data": func(c *Config) { c.EvalTasks = []string{"rte"} },
	} {
		c := Defaults()
		c.Model, c.Out, c.Data = "m", "o", Files("d")
		with(&c)
		c.Resolve()
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// LoRA+ multiplies the rate of every B, which keeps the weight decay of matrices, and of nothing else.
func TestLoRAPlus(t *testing.T) {
	c := Defaults()
	c.LoRAPlusRatio, c.WeightDecay, c.Adapter.Method = 16, 0.1, multilora.MethodLoRA
	groups := c.groups()
	if len(groups) != 1 || groups[0].Match != "*.B" || groups[0].LRFactor != 16 || groups[0].WeightDecay != 0.1 {
		t.Errorf("groups %+v", groups)
	}
	c.Adapter.Method = multilora.MethodMultiLoRA
	if groups = c.groups(); len(groups) != 2 || groups[0].Match != "*.s" {
		t.Errorf("groups of MultiLoRA %+v", groups)
	}
	c.LoRAPlusRatio, c.Adapter.Method = 1, multilora.MethodLoRA
	if groups = c.groups(); groups != nil {
		t.Errorf("groups of LoRA %+v", groups)
	}
}
