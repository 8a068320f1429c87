package llama

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// A token that is run again has the bits of one that the layers were asked for, whatever comes between, and sees what
// has changed.
func TestTokensAgain(t *testing.T) {
	for name, c := range map[string]struct {
		Config
		dtype tensor.DType
		again bool
	}{
		"llama":           {small("llama"), tensor.F32, true},
		"llama in bf16":   {small("llama"), tensor.BF16, true},
		"a window":        {small("mistral"), tensor.F16, true},
		"biases":          {small("qwen2"), tensor.F32, true},
		"two tables":      {smallest(t, "gemma3_text", nil), tensor.BF16, true},
		"soft caps":       {smallest(t, "gemma2", nil), tensor.F32, true},
		"factors":         {smallest(t, "granite", nil), tensor.F32, true},
		"another length":  {smallest(t, "phi3", nil), tensor.F32, false},
		"experts, chosen": {smallest(t, "mixtral", map[string]any{"num_local_experts": 4, "num_experts_per_tok": 2}), tensor.F32, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := device.OpenBackend("cpu", device.Options{})
			if err != nil {
				t.Fatal(err)
			}
			d := tensor.NewDevice(b)
			defer d.Close()
			m, err := NewAs(d, c.Config, c.dtype, 9)
			if err != nil {
				t.Fatal(err)
			}
			again, asked := m.NewDecoder(1, 40), m.NewDecoder(1, 40)
			asked.unlike = true
			ids := text(1, 40, c.Vocab)
			step := func(n int) {
				t.Helper()
				got, err := again.Step([][]int32{ids[:n]})
				if err != nil {
					t.Fatal(err)
				}
				want, err := asked.Step([][]int32{ids[:n]})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got[0], want[0]) {
					t.Fatalf("after %d tokens the logits are %v, want %v", again.used, got[0][:3], want[0][:3])
				}
				ids = ids[n:]
			}
			tokens := func(n int) {
				t.Helper()
				for range n {
					step(1)
				}
			}
			step(3)
			tokens(5)
			if c.again != (again.same != nil) {
				t.Fatalf("tokens are run again: %t, want %t", again.same != nil, c.again)
			}
			step(4)
			tokens(4)
			norm := m.Norm.Weight // in place, and another
			norm.Value.SetFloat32s(slices.Repeat([]float32{0.5}, norm.Value.Numel()))
			tokens(2)
			norm.Value = d.FromFloat32s(c.dtype, slices.Repeat([]float32{2}, norm.Value.Numel()), norm.Value.Numel())
			tokens(2)
			for _, slot := range nn.Layers(m) {
				if l, ok := (*slot).(*nn.Linear); ok {
					*slot = &nn.Linear{Weight: l.Weight}
				}
			}
			tokens(2)
			for _, slot := range nn.Layers(m) {
				if l, ok := (*slot).(*nn.Linear); ok { // the same layer, as AddBiases leaves it
					out := l.Weight.Value.Dim(0)
					l.Bias = &nn.Param{Value: d.FromFloat32s(c.dtype, slices.Repeat([]float32{0.5}, out), out)}
				}
			}
			tokens(2)
			stop := d.Trace(func(tensor.Kernel, []*tensor.Tensor) {})
			tokens(2)
			stop()
			tokens(len(ids))
			if _, err := again.Step([][]int32{{0}}); err == nil {
				t.Error("one token more than there is room for is no error")
			}
			again.Close()
			asked.Close()
			live := d.Stats().Live
			again, asked, ids = m.NewDecoder(1, 8), m.NewDecoder(1, 8), text(2, 6, c.Vocab)
			asked.unlike = true
			tokens(6)
			again.Close()
			asked.Close()
			if now := d.Stats().Live; now > live { // the collector may have found more
				t.Errorf("%d bytes are left of a decoder", now-live)
			}
			if err := d.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
