package multilora

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/optim"
)

// What is saved loads, and computes the same bits; saved again it has the same bytes.
func TestSaveAndLoad(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		d := open(t, 2)
		m := tiny(t, d)
		a := attach(t, m, cfg)
		a.Base = "tiny <llama>"
		trained(t, m, 4)
		first, second := t.TempDir(), filepath.Join(t.TempDir(), "new", "folder")
		if err := a.Save(first); err != nil {
			t.Fatal(err)
		}
		fresh := tiny(t, d)
		b, err := Load(fresh, first, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Base != a.Base || fmt.Sprint(b.Config()) != fmt.Sprint(a.Config()) {
			t.Errorf("loaded %q %+v, want %q %+v", b.Base, b.Config(), a.Base, a.Config())
		}
		if got, want := logits(t, fresh, batch()), logits(t, m, batch()); !slices.Equal(got, want) {
			t.Errorf("the loaded adapter's logits are off by %g", distance(got, want))
		}
		if err := b.Save(second); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, first, second)
		for name, p := range nn.Params(fresh) {
			part := name[strings.LastIndex(name, ".")+1:]
			if adapter := part == "A" || part == "B" || part == "s"; p.Frozen == adapter {
				t.Errorf("%s: frozen %v", name, p.Frozen)
			}
		}
	})
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	for _, name := range []string{TensorFile, InfoFile} {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("%s: other bytes in %s than in %s", name, b, a)
		}
	}
}

// The format, as others read it.
func TestFormat(t *testing.T) {
	m := tiny(t, open(t, 1))
	cfg := kinds()["per-output"]
	a := attach(t, m, cfg)
	a.Base = "tiny"
	dir := t.TempDir()
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, InfoFile))
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "format": "agora-adapter",
  "version": 1,
  "base": "tiny",
  "method": "multilora",
  "modules": 2,
  "rank": 2,
  "alpha": 4,
  "scaling": "per-output",
  "targets": [
    "q_proj",
    "model.layers.1.mlp.*"
  ],
  "dropout": 0,
  "fingerprint": {
    "digest": "aa0579059eb73d9047a2c1ddda3251d412d0334e8a21ba6f73eac13c84341aa6",
    "tensors": [
      {"name":"model.embed_tokens.weight","shape":[61,24],"sample":"`
	bias := `
      {"name":"model.layers.0.self_attn.k_proj.bias","shape":[8],"sample":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
`
	if !strings.HasPrefix(string(text), want) || strings.Count(string(text), bias) != 1 ||
		strings.Count(string(text), `{"name"`) != 27 {
		t.Errorf("adapter.json is\n%s, want\n%s…", text, want)
	}
	f, err := safetensors.Open(filepath.Join(dir, TensorFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := len(f.Names()); n != 5*2*3 {
		t.Errorf("%d tensors, want 3 for each of 2 modules on 5 layers", n)
	}
	for name, shape := range map[string][]int{
		"model.layers.0.self_attn.q_proj.A.0": {2, 24},
		"model.layers.0.self_attn.q_proj.B.1": {24, 2},
		"model.layers.1.mlp.down_proj.A.1":    {2, 40},
		"model.layers.1.mlp.gate_proj.s.0":    {40},
	} {
		if x, err := f.Tensor(name); err != nil || x.DType != safetensors.F32 || !slices.Equal(x.Shape, shape) {
			t.Errorf("%s is %s %v, error %v, want F32 %v", name, x.DType, x.Shape, err, shape)
		}
	}
}

// Whatever is wrong with a folder is named, and the model stays as it was.
func TestLoadErrors(t *testing.T) {
	d := open(t, 1)
	cfg := kinds()["scalar"]
	cfg.Targets = []string{"v_proj"} // [8, 24]
	good := t.TempDir()
	a := attach(t, tiny(t, d), cfg)
	a.Base = "other-model"
	if err := a.Save(good); err != nil {
		t.Fatal(err)
	}
	tensors := golden.Tensors(t, filepath.Join(good, TensorFile))
	f, err := safetensors.Open(filepath.Join(good, TensorFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := os.ReadFile(filepath.Join(good, InfoFile))
	if err != nil {
		t.Fatal(err)
	}
	const first = "model.layers.0.self_attn.v_proj.A.0"
	put := func(x safetensors.Tensor) func(map[string]safetensors.Tensor) {
		return func(ts map[string]safetensors.Tensor) { ts[x.Name] = x }
	}
	for _, c := range []struct {
		name        string
		old, new    string // in adapter.json
		tensors     func(map[string]safetensors.Tensor)
		file, wants string
	}{
		{name: "missing tensor", tensors: func(ts map[string]safetensors.Tensor) { delete(ts, first) },
			file: TensorFile, wants: `tensor "` + first +
				`": want the tensor, got none (the adapter was made for "other-model")`},
		{name: "unexpected tensor", tensors: put(safetensors.FromFloat32s("model.layers.0.self_attn.q_proj.A.0",
			[]int{1}, []float32{1})),
			file: TensorFile, wants: `tensor "model.layers.0.self_attn.q_proj.A.0": want none of that name`},
		{name: "wrong shape", tensors: put(safetensors.FromFloat32s(first, []int{24, 2}, make([]float32, 48))),
			file: TensorFile, wants: `tensor "` + first +
				`": want F32 [2 24] beside this model's weight f32[8 24], got F32 [24 2]`},
		{name: "wrong type", tensors: put(safetensors.Tensor{Name: first, DType: safetensors.BF16,
			Shape: []int{2, 24}, Data: make([]byte, 96)}),
			file: TensorFile, wants: "want F32 [2 24] beside this model's weight f32[8 24], got BF16 [2 24]"},
		{name: "another configuration", old: `"alpha": 4`, new: `"alpha": 5`, file: TensorFile,
			wants: `metadata config: want that of adapter.json`},
		{name: "not JSON", old: "{", new: "", file: InfoFile, wants: "want a JSON object"},
		{name: "not ours", old: "agora-adapter", new: "peft", file: InfoFile,
			wants: `field format: want "agora-adapter", got "peft"`},
		{name: "a later version", old: `"version": 1`, new: `"version": 2, "magic": 3`, file: InfoFile,
			wants: "field version: want 1, got 2"},
		{name: "unknown field", old: `"dropout"`, new: `"drop"`, file: InfoFile,
			wants: "field drop: want a known name, got another"},
		{name: "bad rank", old: `"rank": 2`, new: `"rank": -1`, file: InfoFile,
			wants: "field rank: want 1 to 21845 with 3 modules, got -1"},
		{name: "many modules", old: `"modules": 3`, new: `"modules": 1e18`, file: InfoFile, wants: "modules"},
		{name: "no such layer", old: "v_proj", new: "w_proj", file: InfoFile,
			wants: `"w_proj" matches no layer`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			bad := maps.Clone(tensors)
			if c.tensors != nil {
				c.tensors(bad)
			}
			golden.WriteTensors(t, filepath.Join(dir, TensorFile), f.Metadata(), bad)
			text := strings.Replace(string(info), c.old, c.new, 1)
			if err := os.WriteFile(filepath.Join(dir, InfoFile), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			m := tiny(t, d)
			_, err := Load(m, dir, Options{})
			if err == nil || !strings.Contains(err.Error(), c.wants) ||
				!strings.Contains(err.Error(), filepath.Join(dir, c.file)) {
				t.Errorf("got error %v, want it to name %s and say %q", err, c.file, c.wants)
			}
			for name, layer := range nn.Layers(m) {
				if _, ok := (*layer).(*nn.Linear); !ok {
					t.Errorf("%s holds a %T now", name, *layer)
				}
			}
			for name, p := range nn.Params(m) {
				if p.Frozen {
					t.Errorf("%s is frozen now", name)
				}
			}
		})
	}
	for _, name := range []string{TensorFile, InfoFile} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(tiny(t, d), dir, Options{}); err == nil ||
			!strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("without %s: error %v", name, err)
		}
	}
}

// Twenty steps give the same files for any number of threads, dropout included. The model
// is large enough for several threads to share most kernels.
func TestSameFilesForAnyThreads(t *testing.T) {
	var first string
	for _, threads := range []int{1, 2, 5} {
		m := random3Heads(t, open(t, threads), 48, 136)
		cfg := kinds()["scalar"]
		cfg.Dropout = 0.1
		a := attach(t, m, cfg)
		tr := gather(t, m, optim.Group{Match: "*.s", LRFactor: 4})
		o, err := optim.New(tr, optim.DefaultAdamW())
		if err != nil {
			t.Fatal(err)
		}
		schedule := optim.Cosine(3, 20)
		for step := range 20 {
			backward(t, m, randomBatch(40), step)
			tr.ClipByNorm(1)
			o.Step(0.01 * schedule(step))
			tr.ZeroGrad()
		}
		dir := t.TempDir()
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = dir
		} else {
			sameFiles(t, first, dir)
		}
	}
}
