package llama

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/tensor"
)

// blocks is a small model whose matrices are whole blocks, but for down_proj.
func blocks(t *testing.T, d *tensor.Device) (dir string) {
	t.Helper()
	c := small("qwen2") // with biases
	c.Hidden, c.HeadDim, c.Intermediate = 64, 16, 40
	dir = t.TempDir()
	if err := create(t, d, c).Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A q8 or q4 model computes in 16 bits what its dequantized weights compute so, to the bit. Its
// weights are those of the model that computes in f32, and its logits differ as two roundings of
// activations do: by some 2^-9 of them in bf16, 2^-12 in f16, and each layer of this model enlarges
// that.
func TestComputeDType(t *testing.T) {
	d := open(t)
	dir := blocks(t, d)
	b := Batch{Rows: 2, IDs: text(1, 40, 37)}
	for _, stored := range []tensor.DType{tensor.Q8, tensor.Q4} {
		exact := loadAs(t, d, dir, stored)
		want := logits(t, exact, b)
		for compute, most := range map[tensor.DType]float64{tensor.BF16: 5e-2, tensor.F16: 6e-3} {
			m, err := Load(t.Context(), d, dir, LoadOptions{DType: stored, ComputeDType: compute})
			if err != nil {
				t.Fatal(err)
			}
			sameValues(t, "weights", m, exact)
			if dt := m.Logits(b).Tensor().DType(); dt != compute || m.DType() != compute {
				t.Errorf("%s: logits in %s, activations in %s, want %s", stored, dt, m.DType(), compute)
			}
			got := logits(t, m, b)
			within(t, stored.String()+" in "+compute.String(), got, want, most)
			t.Logf("%s in %s: relative error of the logits %.3g", stored, compute, golden.RelativeError(got, want))
			if slices.Equal(got, want) {
				t.Errorf("%s in %s has the logits of f32", stored, compute)
			}
			wideDir := t.TempDir()
			if err := m.Save(wideDir); err != nil {
				t.Fatal(err)
			}
			wide := load(t, d, wideDir)
			if !slices.Equal(logits(t, wide, b), want) {
				t.Errorf("%s in %s, saved and loaded in f32, has other logits than in f32", stored, compute)
			}
			wide.dtype = compute
			if !slices.Equal(logits(t, wide, b), got) {
				t.Errorf("%s in %s: the dequantized weights give other logits", stored, compute)
			}
			decoder := m.NewDecoder(2, 32)
			first, err := decoder.Step([][]int32{b.IDs[:20], b.IDs[20:]})
			if err != nil {
				t.Fatal(err)
			}
			within(t, "the decoder's logits", slices.Concat(first...), slices.Concat(got[19*37:20*37], got[39*37:]),
				most)
			decoder.Close()
		}
	}
}

// Where nothing of a model is whole blocks, all weights stay f32 and the activations are
// what was asked for.
func TestComputeDTypeWithoutBlocks(t *testing.T) {
	d := open(t)
	dir := t.TempDir()
	if err := create(t, d, small("llama")).Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := Load(t.Context(), d, dir, LoadOptions{DType: tensor.Q4, ComputeDType: tensor.BF16})
	if err != nil {
		t.Fatal(err)
	}
	logits := m.Logits(Batch{Rows: 1, IDs: []int32{1, 2}}).Tensor()
	if m.Embedding.Weight.Value.DType() != tensor.F32 || logits.DType() != tensor.BF16 {
		t.Errorf("embedding %s, logits %s", m.Embedding.Weight.Value, logits)
	}
}

func TestComputeDTypeRefuses(t *testing.T) {
	d := open(t)
	dir := blocks(t, d)
	for _, c := range []struct {
		stored, compute tensor.DType
		refused         bool
	}{
		{tensor.BF16, tensor.BF16, false}, {tensor.BF16, tensor.F32, false}, // f32 is the zero value
		{tensor.BF16, tensor.F16, true}, {tensor.F32, tensor.BF16, true},
		{tensor.Q4, tensor.Q4, true}, {tensor.Q8, tensor.F64, true}, {tensor.Q8, tensor.I32, true},
	} {
		o := LoadOptions{DType: c.stored, ComputeDType: c.compute}
		want := "computing in " + c.compute.String() + " with weights in " + c.stored.String()
		m, loadErr := Load(t.Context(), d, dir, o)
		_, blankErr := Blank(d, small("llama"), o)
		for _, err := range []error{loadErr, blankErr} {
			if c.refused != (err != nil) || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %s: error %v, want %q", c.stored, c.compute, err, want)
			}
		}
		if loadErr == nil && m.DType() != c.stored {
			t.Errorf("%s with %s: activations in %s", c.stored, c.compute, m.DType())
		}
	}
}
