package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// squares is a file of rows, and settings to train a model on them.
func squares(t *testing.T, model string) Config {
	t.Helper()
	var rows strings.Builder
	for i := range 30 {
		fmt.Fprintf(&rows, `{"prompt": "%d", "completion": "%d"}`+"\n", i, i*i)
	}
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Model, cfg.Data, cfg.MaxTokens, cfg.HeldOut = model, Files(file), 32, 5
	cfg.Steps, cfg.SaveEvery, cfg.LR, cfg.Out = 6, 2, 1e-2, filepath.Join(t.TempDir(), "run")
	return cfg
}

// sayings keeps what a run says.
type sayings struct {
	watcher
	lines []string
}

func (s *sayings) Say(line string) { s.lines = append(s.lines, line) }

// trainedAdapters are adapters of every kind and form for one model, and which kind each is.
func trainedAdapters(t *testing.T, d *tensor.Device, model string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, cfg := range map[string]multilora.Config{
		"multilora": {Method: multilora.MethodMultiLoRA, Modules: 2, Rank: 3, Alpha: 5,
			Scaling: multilora.ScalingScalar, Targets: []string{"q_proj", "v_proj"}},
		"per-output": {Method: multilora.MethodMultiLoRA, Modules: 2, Rank: 2, Alpha: 4,
			Scaling: multilora.ScalingPerOutput, Targets: []string{multilora.AllLinear}, Dropout: 0.2},
		"lora": {Method: multilora.MethodLoRA, Modules: 1, Rank: 4, Alpha: 6, Scaling: multilora.ScalingScalar,
			Targets: []string{"q_proj", "down_proj"}},
		"rslora": {Method: multilora.MethodRSLoRA, Modules: 1, Rank: 4, Alpha: 6, Scaling: multilora.ScalingScalar,
			Targets: []string{"up_proj"}, Extra: []string{"norm", "lm_head"}},
		"ranks": {Method: multilora.MethodLoRA, Modules: 1, Rank: 4, Alpha: 6, Scaling: multilora.ScalingScalar,
			Targets: []string{"q_proj"},
			Ranks:   map[string]int{"model.layers.1.self_attn.q_proj": 2},
			Alphas:  map[string]float64{"model.layers.1.self_attn.q_proj": 7}},
	} {
		m, err := llama.Load(t.Context(), d, model, llama.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := multilora.Attach(m, cfg, 3)
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range nn.Params(m) { // as if it had been trained
			if part := name[strings.LastIndex(name, ".")+1:]; part == "s" || part == "B" {
				v := make([]float32, p.Value.Numel())
				for i := range v {
					v[i] = 0.01 * float32(i%7-3)
				}
				p.Value.SetFloat32s(v)
			}
		}
		dir := t.TempDir()
		all[name] = filepath.Join(dir, "own")
		if err := a.Save(all[name]); err != nil {
			t.Fatal(err)
		}
		if cfg.Method == multilora.MethodMultiLoRA {
			continue
		}
		all[name+", peft"] = filepath.Join(dir, "peft")
		if err := a.SavePEFT(all[name+", peft"]); err != nil {
			t.Fatal(err)
		}
		if cfg.Extra == nil {
			all[name+", gguf"] = filepath.Join(dir, "lora.gguf")
			if err := a.SaveGGUF(all[name+", gguf"], m.Config); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// Training starts from the values of an adapter in any form: at a rate of 0 the result is the
// adapter itself, of its own method, and config.yaml says so; the plan counts what trains.
func TestFromAdapterInEveryForm(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	model := tinymodel.Write(t)
	for name, adapter := range trainedAdapters(t, d, model) {
		t.Run(name, func(t *testing.T) {
			cfg := squares(t, model)
			cfg.FromAdapter, cfg.LR, cfg.Steps = adapter, 0, 1
			p, err := NewPlan(cfg, PlanOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s, err := Run(t.Context(), d, cfg, watcher{}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			open := func(path string) (*multilora.Adapter, multilora.Config) {
				m, err := llama.Load(t.Context(), d, model, llama.LoadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				a, err := multilora.Open(m, path, multilora.Options{})
				if err != nil {
					t.Fatal(err)
				}
				return a, a.Config()
			}
			was, before := open(adapter)
			is, after := open(cfg.Out)
			if p.Trained != s.Trained || p.Method != string(before.Method) {
				t.Errorf("the plan is of %s with %d trained numbers, the run of %d", p.Method, p.Trained, s.Trained)
			}
			if fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("trained as %+v, want %+v", after, before)
			}
			a, errA := was.Digest()
			b, errB := is.Digest()
			if a != b || errA != nil || errB != nil {
				t.Errorf("other numbers than the adapter's after no step (%v, %v)", errA, errB)
			}
			if is.Match() != multilora.MatchSame || is.Fingerprint() == nil || is.Base != "model" {
				t.Errorf("its base is %q, %s", is.Base, is.Match())
			}
			written := Defaults()
			if err := written.Read(filepath.Join(cfg.Out, ConfigFile)); err != nil {
				t.Fatal(err)
			}
			if written.FromAdapter != adapter || written.Adapter.Method != before.Method ||
				written.Adapter.Rank != before.Rank || written.Adapter.Alpha != before.Alpha ||
				written.Adapter.Modules != before.Modules || written.Adapter.Scaling != before.Scaling ||
				!slices.Equal(written.Adapter.Targets, before.Targets) ||
				!slices.Equal(written.Adapter.Extra, before.Extra) {
				t.Errorf("config.yaml says %+v", written.Adapter)
			}
		})
	}
}

// A run that goes on with an adapter can be interrupted, and ends with the same bits.
func TestFromAdapterResumed(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	model := tinymodel.Write(t)
	all := trainedAdapters(t, d, model)
	for _, name := range []string{"per-output", "rslora, peft", "ranks, gguf"} {
		t.Run(name, func(t *testing.T) {
			cfg := squares(t, model)
			cfg.FromAdapter = all[name]
			whole, parts := cfg, cfg
			whole.Out, parts.Out = filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
			if _, err := Run(t.Context(), d, whole, watcher{}, Options{}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if s, err := Run(ctx, d, parts, watcher{func(step int) {
				if step == 3 {
					cancel()
				}
			}}, Options{}); err != nil || !s.Interrupted {
				t.Fatalf("interrupted: %+v, %v", s, err)
			}
			moved := filepath.Join(t.TempDir(), filepath.Base(cfg.FromAdapter)) // may lie elsewhere now
			if err := os.Rename(cfg.FromAdapter, moved); err != nil {
				t.Fatal(err)
			}
			if _, err := Resume(t.Context(), d, parts, watcher{}, Options{}); err == nil ||
				!strings.Contains(err.Error(), "--from-adapter") ||
				!strings.Contains(err.Error(), "(--from-adapter names another place)") {
				t.Errorf("without the adapter: %v", err)
			}
			parts.FromAdapter = moved
			if s, err := Resume(t.Context(), d, parts, watcher{}, Options{}); err != nil || s.Interrupted ||
				s.Steps != 6 {
				t.Fatalf("resumed: %+v, %v", s, err)
			}
			for _, file := range []string{multilora.InfoFile, multilora.TensorFile,
				"checkpoints/step-000006/optimizer.safetensors"} {
				a, err := os.ReadFile(filepath.Join(whole.Out, file))
				if err != nil {
					t.Fatal(err)
				}
				if b, err := os.ReadFile(filepath.Join(parts.Out, file)); err != nil || string(a) != string(b) {
					t.Errorf("%s differs (%v)", file, err)
				}
			}
		})
	}
}

// Settings that are not the adapter's are errors that name both; its own may be given.
func TestFromAdapterAndSettings(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	model := tinymodel.Write(t)
	all := trainedAdapters(t, d, model)
	for _, c := range []struct{ adapter, yaml, want string }{
		{"lora", "method: lora\nrank: 4\nalpha: 6\ntargets: [down_proj, q_proj]\nmodules: 1", ""},
		{"lora", "alpha: 0\nmodules: 0\ndropout: 0.3", ""},
		{"multilora", "method: multilora\nscaling: scalar", ""},
		{"lora", "method: multilora", `--method: want lora, as the adapter ` + all["lora"] +
			` of from-adapter has it, or none, got multilora`},
		{"lora, gguf", "rank: 8", "--rank: want 4, as"},
		{"rslora, peft", "method: lora", "--method: want rslora, as"},
		{"lora", "alpha: 4", "--alpha: want 6, as"},
		{"multilora", "modules: 3", "--modules: want 2, as"},
		{"multilora", "scaling: per-output", "--scaling: want scalar, as"},
		{"multilora", "targets: all-linear", "--targets: want q_proj,v_proj, as"},
		{"multilora", "train-also: norm", "--train-also: want nothing, as"},
		{"rslora", "train-also: []", "--train-also: want norm,lm_head, as"},
		{"lora", "method: full", "--from-adapter: want none with method full"},
	} {
		cfg := squares(t, model)
		cfg.FromAdapter, cfg.Steps = all[c.adapter], 1
		if err := cfg.parse("", []byte(c.yaml)); err != nil {
			t.Fatal(err)
		}
		_, err := Run(t.Context(), d, cfg, watcher{}, Options{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: error %v, want %q", c.adapter, c.yaml, err, c.want)
		}
		if c.want == "" {
			info, err := multilora.ReadInfo(cfg.Out)
			if want := cfg.Adapter.Dropout; err != nil || info.Dropout != want {
				t.Errorf("dropout %v, want %v (%v)", info.Dropout, want, err)
			}
		}
	}
	cfg := squares(t, model)
	cfg.FromAdapter, cfg.Adapter.Rank = all["lora"], 5 // as a program gives it
	if _, err := Run(t.Context(), d, cfg, watcher{}, Options{}); err == nil ||
		!strings.Contains(err.Error(), "--rank: want 4, as") {
		t.Errorf("with a rank in Config: %v", err)
	}
}

// An adapter of another model is refused, and goes on with AnyBase; its result belongs to the
// model it was trained on.
func TestFromAdapterOfAnotherModel(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	model := tinymodel.Write(t)
	adapter := trainedAdapters(t, d, model)["lora"]
	other := tinymodel.Write(t)
	m, err := llama.New(d, tinymodel.Config(), 6)
	if err == nil {
		err = m.Save(other)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg := squares(t, other)
	cfg.FromAdapter, cfg.Steps = adapter, 1
	_, err = Run(t.Context(), d, cfg, watcher{}, Options{})
	if _, ok := errors.AsType[*multilora.BaseError](err); !ok ||
		!strings.Contains(err.Error(), "--from-adapter: multilora: "+adapter+
			": want the model that the adapter was made for, got another one") {
		t.Errorf("error %v", err)
	}
	said := &sayings{}
	if _, err := Run(t.Context(), d, cfg, said, Options{AnyBase: true}); err != nil ||
		!slices.ContainsFunc(said.lines, func(l string) bool {
			return strings.HasPrefix(l, "warning: "+adapter+": the model is not the one")
		}) {
		t.Errorf("with AnyBase: %v, %q", err, said.lines)
	}
	if a, err := multilora.Open(m, cfg.Out, multilora.Options{}); err != nil || a.Match() != multilora.MatchSame {
		t.Errorf("the result: %v", err)
	}
	// The same model in another storage is worth a line, and the new base.
	cfg = squares(t, model)
	cfg.FromAdapter, cfg.Steps, cfg.DType = adapter, 1, tensor.BF16
	said = &sayings{}
	if _, err := Run(t.Context(), d, cfg, said, Options{}); err != nil ||
		!slices.ContainsFunc(said.lines, func(l string) bool {
			return strings.HasPrefix(l, "the model is the one that the adapter was made for, in another storage: f32 there, bf16 here")
		}) {
		t.Errorf("in bf16: %v, %q", err, said.lines)
	}
}
