package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/tensor"
)

// withMatrices is the CPU as if it multiplied matrices of some types.
type withMatrices struct {
	tensor.Backend
	of []tensor.DType
}

func (b withMatrices) Name() string { return "a card" }

func (b withMatrices) MultipliesMatrices(dt tensor.DType) bool {
	for _, x := range b.of {
		if x == dt {
			return true
		}
	}
	return false
}

func cardOf(t *testing.T, types ...tensor.DType) *tensor.Device {
	t.Helper()
	b, err := device.OpenBackend("cpu", device.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(withMatrices{b, types})
	t.Cleanup(func() { d.Close() })
	return d
}

// Auto is a 16-bit type where the device multiplies matrices of it, unless one was chosen.
func TestChooseDType(t *testing.T) {
	both, half, none := cardOf(t, tensor.F16, tensor.BF16), cardOf(t, tensor.F16), cardOf(t)
	gemma := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(gemma, []byte(`{"model_type": "gemma3_text"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		d             *tensor.Device
		change        func(*Config)
		compute, said string
		dtype         tensor.DType
	}{
		"bf16":      {both, func(*Config) {}, "bf16", "bf16, of which a card multiplies matrices", tensor.F32},
		"f16 alone": {half, func(*Config) {}, "f16", "f16, of which a card multiplies matrices: it has none of bf16", tensor.F32},
		"gemma": {half, func(c *Config) { c.Model = gemma }, "",
			"f32: a card multiplies matrices of f16 alone, whose range activations of gemma3_text leave", tensor.F32},
		"gemma, bf16":   {both, func(c *Config) { c.Model = gemma }, "bf16", "bf16, of which a card multiplies matrices", tensor.F32},
		"none":          {none, func(*Config) {}, "", "", tensor.F32},
		"in full":       {both, func(c *Config) { c.Adapter.Method = MethodFull }, "", "bf16, of which a card multiplies matrices", tensor.BF16},
		"f32 chosen":    {both, func(c *Config) { c.AsStored = false }, "", "", tensor.F32},
		"f32 computing": {both, func(c *Config) { c.ComputeDType = "f32" }, "f32", "", tensor.F32},
		"q4 chosen":     {both, func(c *Config) { c.DType = tensor.Q4 }, "f32", "", tensor.Q4},
	} {
		cfg := Defaults()
		c.change(&cfg)
		cfg.Resolve()
		if said := cfg.ChooseDType(c.d); said != c.said || cfg.ComputeDType != c.compute || cfg.DType != c.dtype {
			t.Errorf("%s: %q, dtype %s, compute-dtype %q", name, said, cfg.DType, cfg.ComputeDType)
		}
		if err := cfg.validateRun(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A run whose dtype is auto computes in 16 bits on a device that multiplies such matrices, records it, and goes on so
// where auto would be something else.
func TestAutoDTypeOfARun(t *testing.T) {
	var rows strings.Builder
	for i := range 20 {
		fmt.Fprintf(&rows, `{"prompt": "%d", "completion": "%d"}`+"\n", i, i*i)
	}
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	card, plain := cardOf(t, tensor.BF16), cardOf(t)
	for method, recorded := range map[multilora.Method]string{
		multilora.MethodMultiLoRA: "\ndtype: auto\ncompute-dtype: \"bf16\"\n", MethodFull: "\ndtype: bf16\n",
	} {
		cfg := Defaults()
		cfg.Model, cfg.Data, cfg.MaxTokens, cfg.HeldOut = tinymodel.Write(t), Files(file), 32, 4
		cfg.Steps, cfg.SaveEvery, cfg.LR, cfg.Adapter.Method = 6, 3, 1e-2, method
		whole, chosen, parts := cfg, cfg, cfg
		for _, c := range []*Config{&whole, &chosen, &parts} {
			c.Out = filepath.Join(t.TempDir(), "run")
		}
		chosen.DType, chosen.AsStored = tensor.BF16, false
		for _, c := range []Config{whole, chosen} {
			if _, err := Run(t.Context(), card, c, watcher{}, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		sameWeights(t, weights(t, whole.Out), weights(t, chosen.Out), "state.json") // which has the settings
		if text, err := os.ReadFile(filepath.Join(whole.Out, ConfigFile)); err != nil || !strings.Contains(string(text), recorded) {
			t.Errorf("%s: recorded %s, %v; want %s", method, text, err, recorded)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := Run(ctx, card, parts, watcher{func(step int) {
			if step == 4 {
				cancel()
			}
		}}, Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(t.Context(), plain, parts, watcher{}, Options{}); err != nil {
			t.Fatal(err)
		}
		sameWeights(t, weights(t, whole.Out), weights(t, parts.Out), "")
	}
}
