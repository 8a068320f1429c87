//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// Over a base in q4 the projections of a training step in f16 are cooperative products, forward
// and backward, and its losses are the CPU's.
func TestQuantizedBaseOnMatrices(t *testing.T) {
	needs(t, "matmul_coopmat")
	model := tinymodel.Write(t)
	var trace bytes.Buffer
	subject := tensor.NewDevice(open(t, vulkan.Options{Profile: &trace}))
	packed := 0 // products of a packed weight that give activations
	subject.Trace(func(k tensor.Kernel, args []*tensor.Tensor) {
		if _, ok := k.(kernels.Matmul); ok && args[2].DType() == tensor.Q4 && args[1].DType() == tensor.F16 &&
			args[0].DType() == tensor.F16 {
			packed++
		}
	})
	got, want := stepsOver(t, subject, model), stepsOver(t, testdevice.CPU(t, 1), model)
	if err := subject.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !(math.Abs(got[i]/want[i]-1) <= 2e-3) { // some 2^-11, to which matrices round one factor more
			t.Errorf("step %d has loss %v, on the CPU %v", i+1, got[i], want[i])
		}
	}
	ran := dispatches(t, &trace)["matmul_coopmat"]
	t.Logf("%d cooperative products, %d of a packed weight; losses %.4f, on the CPU %.4f", ran, packed, got, want)
	// Six projections of two layers, forward and backward, but below the first layer's q, k and v nothing
	// trains. Beside them the seventh, f32 because its rows are no whole blocks, the logits' gradient, and five of an
	// adapter's six products, A's gradient being in f32: three for each of seven, and of two, u and its part of the input's
	// gradient, one for q, k and v and one for gate and up.
	each := 2*2*6 - 3
	all := each + 2*2 + 1 + 2*(3*7+2*4) - 1
	if packed != each*len(want) || ran != all*len(want) {
		t.Errorf("%d cooperative products, %d of a packed weight, want %d and %d a step", ran, packed, all, each)
	}
}

// stepsOver are the losses of steps of MultiLoRA in f16 over the model in q4.
func stepsOver(t *testing.T, d *tensor.Device, model string) (losses []float64) {
	t.Helper()
	cfg := train.Defaults()
	cfg.DType, cfg.ComputeDType, cfg.MaxTokens, cfg.LR, cfg.Steps = tensor.Q4, "f16", tinymodel.Positions, 3e-2, 4
	storage, err := cfg.Storage()
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.Load(t.Context(), d, model, storage)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := train.NewTrainer(m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	batches := data.Batches(tinymodel.Rows(4, 1), 4)
	for range cfg.Steps {
		r, err := tr.Step(batches)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, r.Loss)
	}
	return losses
}
