package multilora

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// goldenCase is case.json of kind multilora.
type goldenCase struct {
	Modules, Rank int
	Alpha         float64
	Scaling       Scaling
	Targets       []string
	Optimizer     struct {
		LR          float64
		Betas       [2]float32
		Eps         float32
		WeightDecay float32 `json:"weight_decay"`
		Clip        float32 `json:"clip_grad_norm"`
	}
}

func TestGoldenMultiLoRA(t *testing.T) {
	golden.Run(t, "multilora", func(t *testing.T, c *golden.Case) {
		var spec goldenCase
		if err := json.Unmarshal(c.JSON, &spec); err != nil {
			t.Fatal(err)
		}
		d := open(t, 2)
		// Where the base is packed, it stays so.
		m, err := llama.Load(t.Context(), d, c.Base, llama.LoadOptions{DType: storageOf(t, c.Base)})
		if err != nil {
			t.Fatal(err)
		}
		a := loadGolden(t, c, spec, m)

		b := llama.Batch{Rows: c.Shape("input_ids")[0], IDs: c.Ints("input_ids"),
			Labels: shifted(c.Ints("labels"), c.Shape("labels")[1])}
		c.Near("logits", logits(t, m, b), c.Floats("logits"), 1e-5)
		for _, layer := range c.Names("delta.") {
			checkDelta(t, c, a, layer)
		}

		trainGolden(t, c, spec, m, b, func() {
			c.Gradients(byName(t, a, func(p *nn.Param) *tensor.Tensor { return p.Grad }))
		})
		for name, got := range byName(t, a, func(p *nn.Param) *tensor.Tensor { return p.Value }) {
			c.Near("trained "+name, got, c.Floats("trained."+name), 1e-3)
		}
	})
}

// trainGolden takes the case's ten steps; first is called when the first gradients are there.
func trainGolden(t *testing.T, c *golden.Case, spec goldenCase, m *llama.Model, b llama.Batch, first func()) {
	t.Helper()
	// Every adapter parameter decays, s too.
	tr := gather(t, m, optim.Group{Match: "*", LRFactor: 1, WeightDecay: spec.Optimizer.WeightDecay})
	o, err := optim.New(tr, optim.AdamW{Betas: spec.Optimizer.Betas, Eps: spec.Optimizer.Eps})
	if err != nil {
		t.Fatal(err)
	}
	wantLoss, wantNorm, wantLR := c.Floats("train.loss"), c.Floats("train.grad_norm"), c.Floats("train.lr")
	schedule := optim.Cosine(2, len(wantLR))
	for step := range wantLR {
		loss := float32(backward(t, m, b, step))
		if step == 0 {
			c.Near("loss", []float32{loss}, c.Floats("loss"), 1e-5)
			first()
		}
		tr.ClipByNorm(spec.Optimizer.Clip)
		lr := float32(spec.Optimizer.LR) * schedule(step)
		o.Step(lr)
		tr.ZeroGrad()
		norm, err := tr.GradNorm()
		if err != nil {
			t.Fatal(err)
		}
		near(t, "learning rate", step, float64(lr), wantLR[step], 1e-6)
		near(t, "loss", step, float64(loss), wantLoss[step], 1e-4)
		near(t, "norm of the gradient", step, norm, wantNorm[step], 1e-3)
	}
}

// storageOf is what a golden folder is loaded in.
func storageOf(t *testing.T, folder string) tensor.DType {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(folder, llama.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(config, []byte("quantization_config")) {
		return tensor.Q8
	}
	return tensor.F32

}

// loadGolden writes the case's initial values as an adapter's folder and loads it.
func loadGolden(t *testing.T, c *golden.Case, spec goldenCase, m *llama.Model) *Adapter {
	t.Helper()
	info := Info{Base: "golden", Config: Config{
		Method: MethodMultiLoRA, Modules: spec.Modules, Rank: spec.Rank, Alpha: spec.Alpha, Scaling: spec.Scaling,
		Targets: spec.Targets,
	}}
	var tensors []safetensors.Source
	for _, name := range c.Names("init.") {
		tensors = append(tensors, safetensors.FromFloat32s(name, c.Shape("init."+name),
			c.Floats("init."+name)).Source())
	}
	dir := t.TempDir()
	if err := writeFolder(dir, info, tensors...); err != nil {
		t.Fatal(err)
	}
	a, err := Load(m, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func checkDelta(t *testing.T, c *golden.Case, a *Adapter, layer string) {
	t.Helper()
	layer = strings.TrimSuffix(layer, ".weight")
	delta, err := a.Delta(layer)
	if err != nil {
		t.Fatal(err)
	}
	var got []float32
	for _, v := range delta.Data {
		got = append(got, float32(v))
	}
	c.Near("ΔW of "+layer, got, c.Floats("delta."+layer), 1e-5)
	values, err := a.SingularValues(layer)
	if err != nil {
		t.Fatal(err)
	}
	singular := make([]float32, min(delta.Rows, delta.Columns)) // those past the rank are zero
	for i, v := range values {
		singular[i] = float32(v)
	}
	c.Near("singular values of "+layer, singular, c.Floats("singular_values."+layer), 1e-5)
}

// byName gives a tensor of every parameter of an adapter, cut into modules and named as
// in its file.
func byName(t *testing.T, a *Adapter, of func(*nn.Param) *tensor.Tensor) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, l := range a.layers {
		ms := split(read(t, of(l.linear.A)), read(t, of(l.linear.B)), read(t, of(l.linear.S)), a.config.Modules,
			l.base.Weight.Value.Dim(0))
		for _, p := range parts(l.name, l.base.Weight.Value, a.config, ms) {
			all[p.name] = *p.data
		}
	}
	return all
}

// shifted moves each label to the position that predicts it.
func shifted(labels []int32, tokens int) []int32 {
	for row := 0; row < len(labels); row += tokens {
		copy(labels[row:row+tokens-1], labels[row+1:row+tokens])
		labels[row+tokens-1] = ops.IgnoreLabel
	}
	return labels
}

func near(t *testing.T, what string, step int, got float64, want float32, limit float64) {
	t.Helper()
	if diff := math.Abs(got - float64(want)); !(diff <= limit*math.Abs(float64(want))) {
		t.Errorf("step %d: %s is %.8g, want %.8g within %g", step, what, got, want, limit)
	}
}
