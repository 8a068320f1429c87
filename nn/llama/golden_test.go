package llama

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// open opens the device for one test.
func open(t testing.TB) *tensor.Device { return testdevice.Open(t, 0) }

func load(t testing.TB, d *tensor.Device, dir string) *Model {
	t.Helper()
	m, err := Load(t.Context(), d, dir, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// logits of a batch, read to the host.
func logits(t testing.TB, m *Model, b Batch) []float32 {
	t.Helper()
	s := m.Device().Scope()
	defer s.Close()
	v, err := m.Logits(b).Tensor().Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// train gives every parameter a gradient.
func train(m *Model) {
	for _, p := range nn.Params(m) {
		p.Frozen = false
		p.Grad = m.Device().FromFloat32s(tensor.F32, make([]float32, p.Value.Numel()), p.Value.Shape()...)
	}
}

func gradients(t testing.TB, m *Model) map[string][]float32 {
	t.Helper()
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

// step computes the loss of a batch and adds its gradients.
func step(t testing.TB, m *Model, b Batch, counted int) float32 {
	t.Helper()
	tape := autograd.NewTape(m.Device())
	defer tape.Close()
	loss := m.Loss(b, counted)
	tape.Backward(loss)
	v, err := loss.Tensor().Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v[0]
}

func generate(t testing.TB, m *Model, prompt []int32, n int) []int32 {
	t.Helper()
	ids := slices.Clone(prompt)
	for id, err := range m.Generate(context.Background(), prompt, GenerateOptions{MaxTokens: n}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// goldenBatch is a case's batch: its labels are not shifted in the file.
func goldenBatch(c *golden.Case) Batch {
	shape := c.Shape("input_ids")
	b := Batch{Rows: shape[0], IDs: c.Ints("input_ids"), Labels: c.Ints("labels")}
	for r := range b.Rows {
		row := b.Labels[r*shape[1] : (r+1)*shape[1]]
		copy(row, row[1:])
		row[len(row)-1] = ops.IgnoreLabel
	}
	return b
}

func TestGoldenLLaMA(t *testing.T) {
	golden.Run(t, "causal-lm", func(t *testing.T, c *golden.Case) {
		d := open(t)
		m := load(t, d, c.Dir)
		b := goldenBatch(c)
		c.Near("logits", logits(t, m, b), c.Floats("logits"), 1e-5)

		train(m) // generating records nothing, whatever trains
		prompt, greedy := c.Ints("prompt"), c.Ints("greedy")
		if got := generate(t, m, prompt, len(greedy)-len(prompt)); !slices.Equal(got, greedy) {
			t.Errorf("greedy ids are\n%v, want\n%v", got, greedy)
		}

		c.Near("loss", []float32{step(t, m, b, b.Counted())}, c.Floats("loss"), 1e-5)
		c.Gradients(gradients(t, m))

		if dir := oldSpelling(t, c); dir != "" {
			c.Near("logits by config.old-spelling.json", logits(t, load(t, d, dir), b), c.Floats("logits"), 1e-5)
		}
	})
}

// What was read is written so that it is read as it was.
func TestGoldenRoundTrip(t *testing.T) {
	golden.Run(t, "causal-lm", func(t *testing.T, c *golden.Case) {
		d := open(t)
		m := load(t, d, c.Dir)
		b := goldenBatch(c)
		want := logits(t, m, b)
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits(t, load(t, d, dir), b), want) {
			t.Error("other logits from the folder that was written")
		}
	})
}

// oldSpelling is a folder with the case's weights and its config.old-spelling.json as
// config.json, or "" if there is none.
func oldSpelling(t *testing.T, c *golden.Case) string {
	text, err := os.ReadFile(filepath.Join(c.Dir, "config.old-spelling.json"))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return copyModel(t, c.Dir, text)
}

// copyModel is a new folder with the weights of another and a config of its own.
func copyModel(t *testing.T, from string, config []byte) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(from, "model*.safetensors*"))
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string][]byte{ConfigFile: config}
	for _, file := range files {
		if contents[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		if err := os.WriteFile(filepath.Join(dir, name), contents[name], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
