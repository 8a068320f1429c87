package train

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// learnedIn trains an adapter over a base in q4 and gives the held-out loss before and after.
func learnedIn(t *testing.T, model, compute string) (before, after float64) {
	t.Helper()
	d, err := device.OpenWith("cpu", device.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cfg := Defaults()
	cfg.DType, cfg.ComputeDType, cfg.MaxTokens = tensor.Q4, compute, tinymodel.Positions
	cfg.LR, cfg.Steps, cfg.Adapter.Rank = 1e-2, 60, 4
	storage, err := cfg.Storage()
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.Load(t.Context(), d, model, storage)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := NewTrainer(m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.DType().String(); got != compute || (tr.LossScale != nil) != (compute == "f16") {
		t.Errorf("%s: activations in %s, loss scale %+v", compute, got, tr.LossScale)
	}
	batches := data.Batches(tinymodel.Rows(8, 1), 8)
	loss := func() float64 {
		x, err := Evaluate(t.Context(), m, batches)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	before = loss()
	for range cfg.Steps {
		if r, err := tr.Step(batches); err != nil || r.Skipped {
			t.Fatalf("%s: %+v, %v", compute, r, err)
		}
	}
	return before, loss()
}

// Over a base in q4 the loss falls in 16 bits as it does in f32. The two may differ by some
// roundings of an activation, 2^-9 of it in bf16 and 2^-12 in f16; a loss is a mean over many.
func TestComputeDTypeLearns(t *testing.T) {
	model := tinymodel.Write(t)
	exactBefore, exact := learnedIn(t, model, "f32")
	for compute, most := range map[string]float64{"bf16": 8.0 / 512, "f16": 8.0 / 4096} {
		before, after := learnedIn(t, model, compute)
		t.Logf("%s: the loss went from %.4f to %.4f; in f32 from %.4f to %.4f", compute, before, after, exactBefore,
			exact)
		if after > before-1 || math.Abs(before/exactBefore-1) > most || math.Abs(after/exact-1) > most ||
			after == exact {
			t.Errorf("%s: the loss went from %v to %v; in f32 from %v to %v", compute, before, after, exactBefore,
				exact)
		}
	}
}

// What a setting says is what Storage gives, and Resolve leaves what says something.
func TestComputeDTypeSetting(t *testing.T) {
	for _, c := range []struct {
		dtype             tensor.DType
		compute, resolved string
		want              tensor.DType // LoadOptions.ComputeDType
	}{
		{tensor.Q4, "", "f32", tensor.F32},
		{tensor.Q4, "f32", "f32", tensor.F32},
		{tensor.Q8, "bf16", "bf16", tensor.BF16},
		{tensor.BF16, "", "", tensor.F32},
		{tensor.BF16, "bf16", "", tensor.F32},
		{tensor.F32, "f32", "f32", tensor.F32},    // and no device chooses
		{tensor.F32, "bf16", "bf16", tensor.BF16}, // of a quantized model as it is stored
	} {
		cfg := Defaults()
		cfg.DType, cfg.ComputeDType = c.dtype, c.compute
		cfg.Adapter.Modules, cfg.Adapter.Alpha = 1, 1
		for range 2 {
			storage, err := cfg.Storage()
			if err := errors.Join(err, cfg.validateRun()); err != nil || storage.DType != c.dtype ||
				storage.ComputeDType != c.want {
				t.Errorf("%s, %q: %+v, %v; want %s", c.dtype, c.compute, storage, err, c.want)
			}
			cfg.Resolve()
		}
		if cfg.ComputeDType != c.resolved {
			t.Errorf("%s, %q is resolved as %q, want %q", c.dtype, c.compute, cfg.ComputeDType, c.resolved)
		}
	}
}

// Half the bytes of activations are half of their memory, and a run that does not fit is told so.
func TestPlanOfComputeDType(t *testing.T) {
	plan := func(dtype tensor.DType, compute string) Plan {
		cfg := Defaults()
		cfg.Model, cfg.DType, cfg.ComputeDType = "tinyllama-1.1b", dtype, compute
		p, err := NewPlan(cfg, PlanOptions{GPU: true})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	exact, half := plan(tensor.Q4, ""), plan(tensor.Q4, "bf16")
	if ratio := float64(half.Memory.Activations) / float64(exact.Memory.Activations); ratio < 0.5 ||
		ratio > 0.55 { // statistics and what trains stay f32
		t.Errorf("activations are %d bytes, in f32 %d", half.Memory.Activations, exact.Memory.Activations)
	}
	if half.Memory.Weights != exact.Memory.Weights || half.Memory.Moments != exact.Memory.Moments {
		t.Errorf("memory %+v, in f32 %+v", half.Memory, exact.Memory)
	}
	if text := half.String(); !strings.Contains(text, "in q4, q8\n") || !strings.Contains(text, "in bf16\n") {
		t.Errorf("for people: %s", text)
	}
	for _, c := range []struct {
		dtype   tensor.DType
		compute string
		want    []string // all changes of a type
	}{
		{tensor.F32, "", []string{"dtype: bf16", "dtype: q8, compute-dtype: bf16", "dtype: q4, compute-dtype: bf16"}},
		{tensor.F16, "", []string{"dtype: q8, compute-dtype: f16", "dtype: q4, compute-dtype: f16"}},
		{tensor.Q8, "", []string{"compute-dtype: bf16", "dtype: q4"}},
		{tensor.Q8, "f16", []string{"dtype: q4"}},
		{tensor.Q4, "f32", []string{"compute-dtype: bf16"}},
		{tensor.Q4, "bf16", nil},
	} {
		p := plan(c.dtype, c.compute)
		var got []string
		for _, x := range p.changes() {
			if !strings.HasSuffix(x.name, "dtype") {
				continue
			}
			got = append(got, x.String())
			cfg := p.config
			if x.apply(&cfg); x.name == "dtype" && cfg.DType.IsQuantized() && c.compute != "" &&
				cfg.ComputeDType != c.compute {
				t.Errorf("%s, %q: %s gives activations in %s", c.dtype, c.compute, x, cfg.ComputeDType)
			}
			if need, ok := p.with(cfg); !ok || need >= p.Need() {
				t.Errorf("%s, %q: with %s it needs %d bytes, before %d (%t)", c.dtype, c.compute, x, need, p.Need(), ok)
			}
		}
		if strings.Join(got, "; ") != strings.Join(c.want, "; ") {
			t.Errorf("%s, %q: changes %q, want %q", c.dtype, c.compute, got, c.want)
		}
	}
}
