package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// Parameters that train beside an adapter's modules keep every bit on their way to PEFT
// and back, whatever the model is loaded in, and are in the weights of a merged model.
func TestExtraParametersOnTheirWay(t *testing.T) {
	dir := t.TempDir()
	model, own, peft, back, merged := filepath.Join(dir, "model"), filepath.Join(dir, "own"),
		filepath.Join(dir, "peft"), filepath.Join(dir, "back"), filepath.Join(dir, "merged")
	b, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	defer d.Close()
	m, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: 64, Hidden: 32, Intermediate: 48, Layers: 1, Heads: 2, KVHeads: 2, HeadDim: 16,
		MaxPositions: 32, NormEps: 1e-5, InitRange: 0.1,
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(model); err != nil {
		t.Fatal(err)
	}
	cfg := multilora.Defaults()
	cfg.Extra = []string{"lm_head", "norm"}
	a, err := multilora.Attach(m, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.NewInitializer(d, 5)
	for _, p := range []*nn.Param{m.Head.Weight, m.Norm.Weight} {
		p.Value = weights.Normal(1, p.Value.Shape()...).Value
	}
	if err := a.Save(own); err != nil {
		t.Fatal(err)
	}
	mustJSON[converted](t, "export", "--model", model, "--adapter", own, "--to", "peft", "--out", peft)
	mustJSON[converted](t, "import", "--model", model, "--adapter", peft, "--out", back)
	mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", own, "--out", merged)
	for file, prefix := range map[string]string{filepath.Join(back, multilora.TensorFile): "extra.",
		filepath.Join(merged, "model.safetensors"): ""} {
		f, err := safetensors.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range map[string]*nn.Param{"lm_head.weight": m.Head.Weight, "model.norm.weight": m.Norm.Weight} {
			want, err := p.Value.RawBytes()
			if err != nil {
				t.Fatal(err)
			}
			if x, err := f.Tensor(prefix + name); err != nil || !bytes.Equal(x.Data, want) {
				t.Errorf("%s: %s has other bits than trained (%v)", file, prefix+name, err)
			}
		}
		f.Close()
	}
	if code, _, stderr := agora(t, "export", "--model", model, "--adapter", own, "--to", "gguf", "--out",
		filepath.Join(dir, "a.gguf")); code == 0 || !strings.Contains(stderr, "trains model.norm.weight as well") {
		t.Errorf("export to GGUF: exit %d, %s", code, stderr)
	}
}
