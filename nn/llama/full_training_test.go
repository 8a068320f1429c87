package llama

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// All parameters of a loaded model train, and what is saved and loaded again is the
// trained model to the bit; in bf16 that is the optimizer's masters, rounded.
func TestFullTraining(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, tied := range []bool{false, true} {
			d := open(t)
			c := small("qwen2")
			c.Tied = tied
			dir, out := t.TempDir(), t.TempDir()
			if err := create(t, d, c).Save(dir); err != nil {
				t.Fatal(err)
			}
			m, err := Load(t.Context(), d, dir, LoadOptions{DType: dt})
			if err != nil {
				t.Fatal(err)
			}
			before := map[string][]byte{}
			for name, p := range nn.Params(m) {
				p.Frozen, before[name] = false, raw(t, p)
			}
			trainable, err := optim.Gather(d, m)
			if err != nil {
				t.Fatal(err)
			}
			optimizer, err := optim.New(trainable, optim.DefaultAdamW())
			if err != nil {
				t.Fatal(err)
			}
			b := NewBatch([][]int32{text(1, 20, c.Vocab), text(2, 20, c.Vocab)},
				[][]int32{text(3, 20, c.Vocab), text(4, 20, c.Vocab)})
			var losses []float32
			for range 8 {
				tape := autograd.NewTape(d)
				loss := m.Loss(b, b.Counted())
				tape.Backward(loss)
				value, err := loss.Tensor().Float32s()
				if err != nil {
					t.Fatal(err)
				}
				losses = append(losses, value[0])
				tape.Close()
				trainable.ClipByNorm(1)
				optimizer.Step(0.01)
				trainable.ZeroGrad()
			}
			if !(losses[7] < 0.9*losses[0]) {
				t.Errorf("%s, tied %v: losses %v", dt, tied, losses)
			}
			masters := map[string]*tensor.Tensor{}
			for name, x := range optimizer.State() {
				if param, ok := strings.CutPrefix(name, "master."); ok {
					masters[param] = x
				}
			}
			if n := len(before); dt == tensor.BF16 && len(masters) != n || dt == tensor.F32 && len(masters) != 0 {
				t.Errorf("%s: %d masters of %d parameters", dt, len(masters), n)
			}
			if err := m.Save(out); err != nil {
				t.Fatal(err)
			}
			again, err := Load(t.Context(), d, out, LoadOptions{DType: dt})
			if err != nil {
				t.Fatal(err)
			}
			sameValues(t, "loaded", again, m)
			for name, p := range nn.Params(again) {
				if slices.Equal(raw(t, p), before[name]) {
					t.Errorf("%s, tied %v: %s has not moved", dt, tied, name)
				}
				if master := masters[name]; master != nil {
					values, err := master.Float32s()
					if err != nil {
						t.Fatal(err)
					}
					if rounded := autograd.NewParam(d.FromFloat32s(dt, values,
						p.Value.Shape()...)); !slices.Equal(raw(t, p), raw(t, rounded)) {
						t.Errorf("%s is not its master, rounded to %s", name, dt)
					}
				}
			}
			if got, want := logits(t, again, b), logits(t, m, b); !slices.Equal(got, want) {
				t.Errorf("%s, tied %v: other logits after saving and loading", dt, tied)
			}
			if (again.Head == nil) != tied {
				t.Errorf("tied %v: saved as %v", tied, again.Head == nil)
			}
		}
	}
}

// The gradient of a weight that is embedding and head is the sum of the gradients that
// the two have as weights of their own.
func TestTiedGradient(t *testing.T) {
	d := open(t)
	gradients := func(m *Model) map[string][]float32 {
		if _, err := optim.Gather(d, m); err != nil {
			t.Fatal(err)
		}
		tape := autograd.NewTape(d)
		defer tape.Close()
		b := NewBatch([][]int32{text(1, 20, 37)}, [][]int32{text(3, 20, 37)})
		tape.Backward(m.Loss(b, b.Counted()))
		all := map[string][]float32{}
		for name, p := range nn.Params(m) {
			g, err := p.Grad.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			all[name] = g
		}
		return all
	}
	c := small("llama")
	c.Tied = true
	tied := create(t, d, c)
	c.Tied = false
	apart := create(t, d, c)
	values, err := tied.Embedding.Weight.Value.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	apart.Head.Weight.Value.SetFloat32s(values)
	one, two := gradients(tied), gradients(apart)
	sum := two[embeddingName]
	for i, g := range two[headName] {
		sum[i] += g
	}
	near(t, "gradient", one[embeddingName], sum)
}

// Quantized weights cannot train; the error names the first.
func TestQuantizedModelCannotTrain(t *testing.T) {
	d := open(t)
	c := small("llama")
	c.Hidden, c.HeadDim, c.Intermediate = 32, 8, 64
	dir := t.TempDir()
	if err := create(t, d, c).Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, dt := range []tensor.DType{tensor.Q8, tensor.Q4} {
		m, err := Load(t.Context(), d, dir, LoadOptions{DType: dt})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range nn.Params(m) {
			p.Frozen = false
		}
		want := "parameter model.embed_tokens.weight is q8[37 32]: want f32, f16 or bf16 of one that trains"
		if _, err := optim.Gather(d, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", dt, err, want)
		}
	}
}

// A saved folder keeps the spelling of the type that its config.json had, and names it
// where there was none.
func TestSavedTypeIsNamed(t *testing.T) {
	d := open(t)
	for had, want := range map[string]map[string]any{
		"":                      {"torch_dtype": "float32"},
		`"dtype": "bfloat16"`:   {"dtype": "float32"},
		`"torch_dtype": "auto"`: {"torch_dtype": "float32"},
		`"torch_dtype": "float16", "dtype": "float16"`: {"torch_dtype": "float32", "dtype": "float32"},
	} {
		var changes map[string]any
		if err := json.Unmarshal([]byte("{"+had+"}"), &changes); err != nil {
			t.Fatal(err)
		}
		c, err := parseConfig(ConfigFile, with(t, changes))
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(d, c, 1)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		readJSON(t, filepath.Join(dir, ConfigFile), &fields)
		for _, spelling := range []string{"torch_dtype", "dtype"} {
			if fields[spelling] != want[spelling] {
				t.Errorf("%s: %s is %v, want %v", had, spelling, fields[spelling], want[spelling])
			}
		}
	}
}
