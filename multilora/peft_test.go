package multilora

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// Adapters that PEFT has written: what they compute, their gradients, ten steps, and merged.
func TestGoldenPEFT(t *testing.T) {
	golden.Run(t, "peft", func(t *testing.T, c *golden.Case) {
		m, err := llama.Load(t.Context(), open(t, 2), c.Base, llama.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := LoadPEFT(m, c.Dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := llama.Batch{Rows: c.Shape("input_ids")[0], IDs: c.Ints("input_ids"),
			Labels: shifted(c.Ints("labels"), c.Shape("labels")[1])}
		c.Near("logits", logits(t, m, b), c.Floats("logits"), 1e-5)
		gather(t, m)
		c.Near("loss", []float32{float32(backward(t, m, b, 0))}, c.Floats("loss"), 1e-5)
		c.Gradients(inPEFT(t, a, func(p *nn.Param) *tensor.Tensor { return p.Grad }))
		beside := logits(t, m, b)
		if _, err := a.Merge(); err != nil {
			t.Fatal(err)
		}
		merged := logits(t, m, b)
		c.Near("merged", merged, beside, 1e-5)
		if slices.Contains(c.Names(""), "merged_logits") {
			c.Near("merged logits", merged, c.Floats("merged_logits"), 1e-5)
		}
	})
}

// Ten steps of PEFT's adapters by AdamW.
func TestGoldenPEFTTraining(t *testing.T) {
	golden.Run(t, "peft", func(t *testing.T, c *golden.Case) {
		var spec goldenCase
		if err := json.Unmarshal(c.JSON, &spec); err != nil {
			t.Fatal(err)
		}
		if spec.Optimizer.LR == 0 {
			return // the case has none
		}
		m, err := llama.Load(t.Context(), open(t, 2), c.Base, llama.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := LoadPEFT(m, c.Dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := llama.Batch{Rows: c.Shape("input_ids")[0], IDs: c.Ints("input_ids"),
			Labels: shifted(c.Ints("labels"), c.Shape("labels")[1])}
		trainGolden(t, c, spec, m, b, func() {})
		trained := inPEFT(t, a, func(p *nn.Param) *tensor.Tensor { return p.Value })
		for _, name := range c.Names("trained.") {
			c.Near("trained "+name, trained[name], c.Floats("trained."+name), 1e-3)
		}
	})
}

// inPEFT gives a tensor of every parameter of an adapter by PEFT's names in memory.
func inPEFT(t *testing.T, a *Adapter, of func(*nn.Param) *tensor.Tensor) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, l := range a.layers {
		m := module{a: read(t, of(l.linear.A)), b: read(t, of(l.linear.B))}
		if p := l.linear.Bias; p != nil {
			m.bias = read(t, of(p))
		}
		if p := l.linear.Magnitude; p != nil {
			m.magnitude = read(t, of(p))
		}
		for _, p := range peftParts(l.slot, a.config.of(l.name), tiedHead(a.model) != nil) {
			if p.again {
				continue
			}
			name := p.name + ".default"
			if strings.HasSuffix(p.name, magnitudeParam) {
				name += ".weight"
			}
			for _, end := range []string{".weight", ".bias"} {
				if stem, ok := strings.CutSuffix(p.name, end); ok {
					name = stem + ".default" + end
				}
			}
			all[name] = *p.data(&m)
			if p.transposed {
				all[name] = transposed(all[name], p.shape[1], p.shape[0])
			}
		}
	}
	for _, r := range a.tokens {
		all[peftTokensName(r.name)+".default"] = read(t, of(r.Rows))
	}
	return all
}

// What PEFT's own folder has, ours has: after reading it and writing it again the tensors
// are the same bytes, and the fields that say what they mean are equal.
func TestPEFTFolderWrittenAgain(t *testing.T) {
	golden.Run(t, "peft", func(t *testing.T, c *golden.Case) {
		m, err := llama.Load(t.Context(), open(t, 2), c.Base, llama.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := LoadPEFT(m, c.Dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := a.SavePEFT(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(c.Dir, PEFTPickleFile)); err == nil {
			if files := FilesIn(c.Dir); !slices.Equal(files, []string{PEFTConfigFile, PEFTPickleFile}) {
				t.Errorf("files %v", files)
			}
			return // ours is never written so
		}
		ours, theirs := peftTensors(t, dir), peftTensors(t, c.Dir)
		maps.DeleteFunc(theirs, func(name string, _ safetensors.Tensor) bool { return strings.HasSuffix(name, baseParam) })
		if !slices.Equal(slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs))) {
			t.Errorf("keys %v, want %v", slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs)))
		}
		for name, x := range ours {
			y := theirs[name]
			if x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
				t.Errorf("%s: %s %v, want %s %v with the same bytes", name, x.DType, x.Shape, y.DType, y.Shape)
			}
		}
		ourFields, theirFields := readJSON(t, filepath.Join(dir, PEFTConfigFile)),
			readJSON(t, filepath.Join(c.Dir, PEFTConfigFile))
		if _, list := theirFields["target_modules"].([]any); !list {
			return // patterns, which ours names the layers of
		}
		for name, v := range ourFields {
			if name == "target_modules" {
				continue
			}
			if want, ok := theirFields[name]; !ok || !reflect.DeepEqual(v, want) {
				t.Errorf("field %s is %v, want %v", name, v, want)
			}
		}
		targets := func(fields map[string]any) (s []string) {
			for _, x := range fields["target_modules"].([]any) {
				s = append(s, strings.TrimPrefix(x.(string), "model.")) // PEFT adds a tied embedding's whole name
			}
			slices.Sort(s)
			return slices.Compact(s)
		}
		if got, want := targets(ourFields), targets(theirFields); !slices.Equal(got, want) {
			t.Errorf("target_modules %v, want %v", got, want)
		}
	})
}

func readJSON(t *testing.T, path string) (v map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// peftTensors are copies of a folder's tensors.
func peftTensors(t *testing.T, dir string) map[string]safetensors.Tensor {
	t.Helper()
	return golden.Tensors(t, filepath.Join(dir, PEFTTensorFile))
}

// exported are adapters of every kind that leaves this program.
func exported() map[string]Config {
	all := kinds()
	all["many-ranks lora"], all["many-ranks rslora"] = manyRanks(MethodLoRA), manyRanks(MethodRSLoRA)
	return all
}

// An exported folder read back gives the same logits: of LoRA the same bits, of MultiLoRA
// those of the folded adapter. Its keys and shapes are PEFT's.
func TestPEFTRoundTrip(t *testing.T) {
	for name, cfg := range exported() {
		t.Run(name, func(t *testing.T) {
			d := open(t, 2)
			m := tiny(t, d)
			base := logits(t, m, batch())
			a := attach(t, m, cfg)
			a.Base = "tiny/llama"
			trained(t, m, 8)
			want := logits(t, m, batch())
			far(t, want, base)
			dir := filepath.Join(t.TempDir(), "new", "folder")
			if err := a.SavePEFT(dir); err != nil {
				t.Fatal(err)
			}
			back := tiny(t, d)
			b, err := LoadPEFT(back, dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := logits(t, back, batch())
			if e := distance(got, want); e > 1e-5 || cfg.Method != MethodMultiLoRA && !slices.Equal(got, want) {
				t.Errorf("read back the logits are off by %g", e)
			}
			if b.Base != "tiny/llama" || b.Config().Dropout != cfg.Dropout || !slices.Equal(b.Layers(), a.Layers()) {
				t.Errorf("read back as %q %+v on %v", b.Base, b.Config(), b.Layers())
			}
			tensors := peftTensors(t, dir)
			for _, l := range a.layers {
				w, r := l.base.Weight.Value, cfg.of(l.name).TotalRank()
				shapes := map[string][]int{"lora_A.weight": {r, w.Dim(1)}, "lora_B.weight": {w.Dim(0), r}}
				if l.name == embeddingModule {
					shapes = map[string][]int{"lora_embedding_A": {r, 61}, "lora_embedding_B": {24, r}}
				}
				for part, shape := range shapes {
					if x := tensors["base_model.model."+l.name+"."+part]; x.DType != safetensors.F32 ||
						!slices.Equal(x.Shape, shape) {
						t.Errorf("%s %s is %s %v, want F32 %v", l.name, part, x.DType, x.Shape, shape)
					}
				}
			}
			if len(tensors) != 2*len(a.layers) {
				t.Errorf("%d tensors for %d layers", len(tensors), len(a.layers))
			}
			fields := readJSON(t, filepath.Join(dir, PEFTConfigFile))
			if r := float64(cfg.TotalRank()); fields["r"] != r ||
				cfg.Method == MethodMultiLoRA && fields["lora_alpha"] != r {
				t.Errorf("r is %v and lora_alpha %v, want both %v of MultiLoRA", fields["r"], fields["lora_alpha"], r)
			}
		})
	}
}

// The spelling that PEFT has in memory, and 16-bit tensors.
func TestPEFTOtherSpellings(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	a := attach(t, m, kinds()["lora"])
	trained(t, m, 4)
	dir := t.TempDir()
	if err := a.SavePEFT(dir); err != nil {
		t.Fatal(err)
	}
	want := logits(t, m, batch())
	renamed := map[string]safetensors.Tensor{}
	for name, x := range peftTensors(t, dir) {
		name = strings.Replace(name, ".weight", ".default.weight", 1)
		if strings.Contains(name, "lora_A") { // bf16: the upper half of each number
			half := make([]byte, 0, len(x.Data)/2)
			for i := 0; i < len(x.Data); i += 4 {
				half = append(half, x.Data[i+2:i+4]...)
			}
			x.DType, x.Data = safetensors.BF16, half
		}
		renamed[name] = x
	}
	golden.WriteTensors(t, filepath.Join(dir, PEFTTensorFile), nil, renamed)
	back := tiny(t, d)
	if _, err := LoadPEFT(back, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if e := distance(logits(t, back, batch()), want); e > 0.01 || e == 0 {
		t.Errorf("with A cut to bf16 the logits are off by %g, want a little", e)
	}
}
