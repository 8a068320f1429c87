package multilora

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// Adapters train over a q8 and a q4 base as over its dequantized weights in f32, to the
// bit, and the loss falls. The base has no gradient and does not change.
func TestTrainsOverQuantizedBase(t *testing.T) {
	dir, many := savedInBlocks(t), randomBatch(64) // rows enough for modules to be merged
	for _, dt := range []tensor.DType{tensor.Q8, tensor.Q4} {
		for _, cfg := range []Config{kinds()["scalar"], kinds()["rslora"]} {
			t.Run(dt.String()+" "+string(cfg.Method), func(t *testing.T) {
				d := open(t, 2)
				load := func(dir string, dt tensor.DType) *llama.Model {
					m, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{DType: dt})
					if err != nil {
						t.Fatal(err)
					}
					return m
				}
				quantized := load(dir, dt)
				wideDir := t.TempDir()
				if err := quantized.Save(wideDir); err != nil {
					t.Fatal(err)
				}
				wide := load(wideDir, tensor.F32)
				down := quantized.Blocks[0].MLP.Down.(*nn.Linear).Weight.Value
				before, err := down.RawBytes()
				if err != nil || down.DType() != dt {
					t.Fatalf("down_proj is %s, error %v", down, err)
				}

				got, gotLoss := trainedParams(t, quantized, cfg, many)
				want, wantLoss := trainedParams(t, wide, cfg, many)
				sameTraining(t, got, want, gotLoss, wantLoss)
				if after, err := down.RawBytes(); err != nil || !slices.Equal(after, before) {
					t.Errorf("the base has changed, error %v", err)
				}
			})
		}
	}
}

// savedInBlocks is the folder of a model whose matrices are whole blocks.
func savedInBlocks(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	m := random3Heads(t, open(t, 1), 96, 64)
	m.Config.ModelType = "qwen2" // the one with these biases that a folder can hold
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sameTraining checks that training over quantized weights was that over the dequantized ones, bit for bit, and
// learned something.
func sameTraining(t *testing.T, got, want map[string][]float32, gotLoss, wantLoss []float64) {
	t.Helper()
	if !slices.Equal(gotLoss, wantLoss) {
		t.Errorf("losses %v, over the dequantized base %v", gotLoss, wantLoss)
	}
	for name, v := range want {
		if !slices.Equal(got[name], v) {
			t.Errorf("%s is another than over the dequantized base", name)
		}
	}
	if last := gotLoss[len(gotLoss)-1]; !(last < 0.8*gotLoss[0]) {
		t.Errorf("the loss went from %v to %v", gotLoss[0], last)
	}
}

// trainedParams attaches an adapter, trains it on a batch and gives its values and gradients, and the loss of each step.
func trainedParams(t *testing.T, m *llama.Model, cfg Config, b llama.Batch) (values map[string][]float32,
	losses []float64) {
	t.Helper()
	attach(t, m, cfg)
	tr := gather(t, m)
	o, err := optim.New(tr, optim.DefaultAdamW())
	if err != nil {
		t.Fatal(err)
	}
	values = map[string][]float32{}
	for step := range 25 {
		tr.ZeroGrad()
		losses = append(losses, backward(t, m, b, step))
		o.Step(0.02)
	}
	for name, p := range tr.Params() {
		values[name], values[name+" gradient"] = read(t, p.Value), read(t, p.Grad)
	}
	return values, losses
}

// What is quantized cannot train: both ways of asking for it say so.
func TestQuantizedWeightCannotTrain(t *testing.T) {
	dir := savedInBlocks(t)
	d := open(t, 1)
	m, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{DType: tensor.Q8})
	if err != nil {
		t.Fatal(err)
	}
	p := m.Blocks[0].MLP.Down.(*nn.Linear).Weight
	p.Frozen = false
	if _, err := optim.Gather(d, m); err == nil {
		t.Error("Gather takes a quantized parameter")
	}
	p.Grad = d.New(tensor.F32, p.Value.Shape()...)
	err = tensor.Catch(func() { backward(t, m, batch(), 0) })
	if err == nil || !strings.Contains(err.Error(), "is quantized and has no gradient") {
		t.Errorf("error %v", err)
	}
	if _, err := attach(t, m, kinds()["scalar"]).Merge(); err == nil ||
		!strings.Contains(err.Error(), "want a weight in f32, f16 or bf16") {
		t.Errorf("merging: error %v", err)
	}
}
