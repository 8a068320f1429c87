package train

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// A run whose weights stay in the file writes the files of one that has them in memory, also where one is interrupted
// and goes on as the other.
func TestOffloadedRuns(t *testing.T) {
	if !mapped.Paged {
		t.Skip("files are read whole here")
	}
	run := func(c Config, resume bool) {
		t.Helper()
		d := testdevice.Open(t, 2)
		f := Run
		if resume {
			f = Resume
		}
		if _, err := f(t.Context(), d, c, watcher{}, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*Config){
		"f32":                 func(*Config) {},
		"q8, from a file":     func(c *Config) { c.Tokenizer, c.Model, c.AsStored = c.Model, quantized(t, c.Model), true },
		"converted to q4":     func(c *Config) { c.DType, c.Checkpointing = tensor.Q4, true },
		"norms train, packed": func(c *Config) { c.Adapter.Extra, c.Pack = []string{"*layers.3.*norm*"}, true },
	} {
		t.Run(name, func(t *testing.T) {
			c := deepRun(t)
			change(&c)
			run(c, false)
			other := c
			other.Out, other.Offload = filepath.Join(t.TempDir(), "run"), OffloadWeights
			run(other, false)
			sameWeights(t, weights(t, c.Out), weights(t, other.Out), "")
		})
	}
}

// quantized is a folder's model as a GGUF file of q8.
func quantized(t *testing.T, dir string) (file string) {
	t.Helper()
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "q8.gguf")
	if err := m.SaveGGUF(file, llama.GGUFOptions{DType: tensor.Q8}); err != nil {
		t.Fatal(err)
	}
	return file
}

// A plan counts no memory for what stays in the file, two blocks of it on a GPU and two on their way there, and what
// a step brings.
func TestPlanOfOffloadedWeights(t *testing.T) {
	c := Defaults()
	c.Model, c.MaxTokens, c.Offload, c.Accumulate, c.DType = "llama-7b", 64, OffloadWeights, 4, tensor.BF16
	const (
		block = 2 * (4*4096*4096 + 3*4096*11008 + 2*4096)
		ends  = 2 * (2*32000*4096 + 4096)
		head  = 2 * 32000 * 4096
	)
	for _, x := range []struct {
		gpu                         bool
		weights, offloaded, brought int
	}{{false, 0, 32*block + ends, 4 * 2 * (32*block + head)}, {true, 2*block + ends, 32 * block, 4 * 60 * block}} {
		p, err := NewPlan(c, PlanOptions{DataTokens: 1, GPU: x.gpu})
		if err != nil {
			t.Fatal(err)
		}
		if p.Memory.Weights < x.weights || p.Memory.Weights > x.weights+x.weights/20 {
			t.Errorf("GPU %v: %d bytes of weights in memory, want about %d", x.gpu, p.Memory.Weights, x.weights)
		}
		if staging := map[bool]int{true: 2 * block}[x.gpu]; p.Staging != staging {
			t.Errorf("GPU %v: %d bytes of staging memory, want %d", x.gpu, p.Staging, staging)
		}
		if p.Offloaded != x.offloaded || p.Brought != x.brought {
			t.Errorf("GPU %v: %d bytes offloaded and %d brought, want %d and %d", x.gpu, p.Offloaded, p.Brought, x.offloaded,
				x.brought)
		}
	}
	c.Offload = OffloadNothing
	p, err := NewPlan(c, PlanOptions{DataTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Fits(Room{Device: 4 << 30}); err == nil || !strings.Contains(err.Error(), "fits      offload: weights") {
		t.Errorf("what does not fit is not told of offload: %v", err)
	}
	for want, change := range map[string]func(*Config){
		"offload: want none with method full":   func(c *Config) { c.Adapter.Method = MethodFull },
		"offload: want none with shard weights": func(c *Config) { c.Shard = ShardWeights },
	} {
		other := c
		other.Offload = OffloadWeights
		change(&other)
		if _, err := NewPlan(other, PlanOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
