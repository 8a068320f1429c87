package multilora

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// blocks32 is the shape of a model all of whose matrices can be quantised.
func blocks32() llama.Config {
	return llama.Config{
		ModelType: "llama", Vocab: 96, Hidden: 64, Intermediate: 96, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, EOS: []int32{1},
	}
}

// folder saves a model and gives its folder.
func folder(t *testing.T, m *llama.Model, dt tensor.DType) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model-"+dt.String())
	if err := m.SaveAs(dir, dt); err != nil {
		t.Fatal(err)
	}
	return dir
}

func ggufFile(t *testing.T, m *llama.Model, dt tensor.DType) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), dt.String()+".gguf")
	if err := m.SaveGGUF(path, llama.GGUFOptions{DType: dt}); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, d *tensor.Device, path string, dt tensor.DType) *llama.Model {
	t.Helper()
	m, err := llama.Load(d, path, llama.LoadOptions{DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// adapterOf trains nothing: it saves a new adapter whose modules say something.
func adapterOf(t *testing.T, m *llama.Model, extra ...string) string {
	t.Helper()
	cfg := kinds()["scalar"]
	cfg.Extra = extra
	a := attach(t, m, cfg)
	a.Base = "base"
	for _, l := range a.layers {
		s := make([]float32, l.linear.S.Value.Numel())
		for i := range s {
			s[i] = 0.02
		}
		l.linear.S.Value.SetFloat32s(s)
	}
	dir := t.TempDir()
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	a.Detach()
	return dir
}

// way is a way to have one model: a container, its type, and the type it is loaded as.
type way struct {
	name string
	path string
	as   tensor.DType
}

// waysOf writes a model in every container and type that Agora writes.
func waysOf(t *testing.T, d *tensor.Device, m *llama.Model) (ways []way) {
	t.Helper()
	half := map[tensor.DType]string{}
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
		half[dt] = folder(t, m, dt)
		for _, as := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8, tensor.Q4} {
			ways = append(ways, way{fmt.Sprintf("hf-%s as %s", dt, as), half[dt], as})
		}
	}
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8, tensor.Q4} {
		ways = append(ways, way{fmt.Sprintf("gguf-%s as f32", dt), ggufFile(t, m, dt), tensor.F32})
	}
	// Quantised files are made of 16 bits, and what is quantised may be unpacked to 16 bits.
	for _, dt := range []tensor.DType{tensor.Q8, tensor.Q4} {
		file := ggufFile(t, load(t, d, half[tensor.BF16], tensor.BF16), dt)
		for _, as := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8} {
			ways = append(ways, way{fmt.Sprintf("bf16, gguf-%s as %s", dt, as), file, as})
		}
		ways = append(ways, way{fmt.Sprintf("f16, gguf-%s as f32", dt), ggufFile(t, load(t, d, half[tensor.F16], tensor.F16), dt), tensor.F32})
	}
	return ways
}

// One model matches itself in every storage and container, both ways, and another of the
// same shape, or one with one matrix moved a little, never does.
func TestBaseInAnyStorage(t *testing.T) {
	d := open(t, 2)
	m, err := llama.New(d, blocks32(), 3)
	if err != nil {
		t.Fatal(err)
	}
	other, err := llama.New(d, blocks32(), 4)
	if err != nil {
		t.Fatal(err)
	}
	everyStorage(t, d, m, other)
}

func TestRealBaseInAnyStorage(t *testing.T) {
	d := open(t, 2)
	dir := filepath.Join(realdata.Folder(t), "models")
	m := load(t, d, filepath.Join(dir, "stories260K-hf"), tensor.F32)
	other := load(t, d, filepath.Join(dir, "stories260K-hf"), tensor.F32)
	moveEach(t, other, 1)
	everyStorage(t, d, m, other)
}

func everyStorage(t *testing.T, d *tensor.Device, m, other *llama.Model) {
	t.Helper()
	ways := waysOf(t, d, m)
	var prints, others []*Fingerprint
	for _, w := range ways {
		f, err := fingerprint(load(t, d, w.path, w.as))
		if err != nil {
			t.Fatal(err)
		}
		prints = append(prints, f)
	}
	for _, w := range waysOf(t, d, other) {
		f, err := fingerprint(load(t, d, w.path, w.as))
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, f)
	}
	same, storage := 0, 0
	for i, a := range prints {
		for j, b := range prints {
			diff, err := a.compare(b)
			switch {
			case err != nil:
				t.Errorf("%s beside %s: %v", ways[i].name, ways[j].name, err)
			case diff == nil:
				same++
			case diff.other > 0:
				t.Errorf("%s beside %s: %s", ways[i].name, ways[j].name, diff)
			default:
				storage++
			}
			if diff, err := a.compare(others[j]); err != nil || diff == nil || diff.other == 0 {
				t.Errorf("%s beside another model's %s: passes", ways[i].name, ways[j].name)
			}
		}
	}
	t.Logf("%d pairs are the same, %d another storage", same, storage)
}

// moveEach adds to every number of a model's matrices a random part of their mean magnitude.
func moveEach(t *testing.T, m *llama.Model, part float64) {
	t.Helper()
	r := random.NewStream(9, random.Test, 0, 0)
	for _, p := range nn.Params(m) {
		v := read(t, p.Value)
		sum := 0.0
		for _, x := range v {
			sum += max(float64(x), -float64(x))
		}
		for i := range v {
			v[i] += float32(part * sum / float64(len(v)) * r.Normal())
		}
		p.Value.SetFloat32s(v)
	}
}
