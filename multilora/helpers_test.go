package multilora

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

func open(t *testing.T, threads int) *tensor.Device { return testdevice.Open(t, threads) }

// tiny is a random model whose projections have different shapes where they can.
func tiny(t *testing.T, d *tensor.Device) *llama.Model { return random3Heads(t, d, 24, 40) }

func random3Heads(t *testing.T, d *tensor.Device, hidden, intermediate int) *llama.Model {
	t.Helper()
	m, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: 61, Hidden: hidden, Intermediate: intermediate, Layers: 2, Heads: 3, KVHeads: 1,
		HeadDim:      hidden / 3,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.2, QKVBias: true,
	}, 7)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func batch() llama.Batch { return randomBatch(13) }

// randomBatch is two rows of random tokens and labels.
func randomBatch(tokens int) llama.Batch {
	r := random.NewStream(3, random.Test, 0, 0)
	b := llama.Batch{Rows: 2}
	for range 2 * tokens {
		b.IDs, b.Labels = append(b.IDs, int32(r.IntN(61))), append(b.Labels, int32(r.IntN(61)))
	}
	return b
}

func logits(t *testing.T, m *llama.Model, b llama.Batch) []float32 {
	t.Helper()
	s := m.Device().Scope()
	defer s.Close()
	return read(t, m.Logits(b).Tensor())
}

func read(t *testing.T, x *tensor.Tensor) []float32 {
	t.Helper()
	v, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// backward adds the gradients of a batch and gives its loss.
func backward(t *testing.T, m *llama.Model, b llama.Batch, step int) float64 {
	t.Helper()
	tape := autograd.NewTape(m.Device())
	defer tape.Close()
	tape.Step = uint32(step)
	loss := m.Loss(b, b.Counted())
	tape.Backward(loss)
	return float64(read(t, loss.Tensor())[0])
}

func attach(t *testing.T, m Model, cfg Config) *Adapter {
	t.Helper()
	a, err := Attach(m, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func gather(t *testing.T, m *llama.Model, groups ...optim.Group) *optim.Trainable {
	t.Helper()
	tr, err := optim.Gather(m.Device(), m, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// trained moves an adapter away from where it began, far enough to be seen.
func trained(t *testing.T, m *llama.Model, steps int) {
	t.Helper()
	tr := gather(t, m)
	o, err := optim.New(tr, optim.DefaultAdamW())
	if err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		backward(t, m, batch(), step)
		tr.ClipByNorm(1)
		o.Step(0.03)
		tr.ZeroGrad()
	}
}

// distance is |a - b| / |b| by Euclidean norm.
func distance(a, b []float32) float64 {
	var diff, norm float64
	for i := range b {
		d := float64(a[i]) - float64(b[i])
		diff, norm = diff+d*d, norm+float64(b[i])*float64(b[i])
	}
	return math.Sqrt(diff / norm)
}

// kinds are configurations of every kind.
func kinds() map[string]Config {
	scalar := Config{Method: MethodMultiLoRA, Modules: 3, Rank: 2, Alpha: 4, Scaling: ScalingScalar,
		Targets: []string{AllLinear}}
	perOutput := scalar
	perOutput.Scaling, perOutput.Modules, perOutput.Targets = ScalingPerOutput, 2,
		[]string{"q_proj", "model.layers.1.mlp.*"}
	lora := scalar
	lora.Method, lora.Modules, lora.Rank = MethodLoRA, 1, 6
	rslora := lora
	rslora.Method, rslora.Dropout = MethodRSLoRA, 0.2
	manyRanks := manyRanks(MethodMultiLoRA)
	manyRanks.Modules, manyRanks.Scaling = 2, ScalingPerOutput
	ends := scalar
	ends.Targets, ends.Dropout = []string{"q_proj", "lm_head", "embed_tokens"}, 0.1
	endsPerOutput := ends
	endsPerOutput.Scaling, endsPerOutput.Modules = ScalingPerOutput, 2
	endsLoRA := ends
	endsLoRA.Method, endsLoRA.Modules = MethodRSLoRA, 1
	return map[string]Config{"ends": ends, "ends-per-output": endsPerOutput, "ends-rslora": endsLoRA, "scalar": scalar, "per-output": perOutput, "lora": lora, "rslora": rslora,
		"many-ranks": manyRanks}
}

func eachKind(t *testing.T, f func(t *testing.T, cfg Config)) {
	for name, cfg := range kinds() {
		t.Run(name, func(t *testing.T) { f(t, cfg) })
	}
}

// manyRanks is an adapter whose layers have ranks and alphas of their own.
func manyRanks(method Method) Config {
	return Config{
		Method: method, Modules: 1, Rank: 4, Alpha: 8, Scaling: ScalingScalar,
		Targets: []string{"q_proj", "v_proj", "model.layers.1.mlp.*"}, Dropout: 0.1,
		Ranks:  map[string]int{"model.layers.0.self_attn.q_proj": 2, "model.layers.1.mlp.down_proj": 7},
		Alphas: map[string]float64{"model.layers.1.mlp.down_proj": 3, "model.layers.1.self_attn.v_proj": 1.5},
	}
}
