package multilora

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// launching is the CPU as a device on which every kernel has a price.
type launching struct{ tensor.Backend }

func (launching) Launches() {}

func launchingCPU(t *testing.T, threads int) *tensor.Device {
	t.Helper()
	b, err := cpu.Open(cpu.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return testdevice.On(t, launching{b})
}

// What sees the same input is computed together where kernels have a price, with results and gradients of the layers by
// themselves: q, k and v, gate and up, in products of all their modules.
func TestLayersTogetherAsOneByOne(t *testing.T) {
	all := kinds()
	some := manyRanks(MethodMultiLoRA)
	some.Dropout, some.Targets = 0, []string{"k_proj", "v_proj"}
	some.Ranks, some.Alphas = map[string]int{"model.layers.0.self_attn.k_proj": 8}, nil
	all["some"] = some
	for name, cfg := range all {
		t.Run(name, func(t *testing.T) {
			run := func(d *tensor.Device) ([]float32, int) {
				m := random3Heads(t, d, 192, 64) // whose A's fill what Gather aligns them to
				a := attach(t, m, cfg)
				for _, l := range a.layers {
					b := make([]float32, l.linear.B.Value.Numel())
					for i := range b {
						b[i] = float32(i%7-3) / 16
					}
					l.linear.B.Value.SetFloat32s(b)
				}
				gather(t, m)
				products := 0
				stop := d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
					if _, ok := k.(kernels.Matmul); ok {
						products++
					}
				})
				defer stop()
				bits := bitsOf(t, m, a)
				return bits, products
			}
			want, many := run(testdevice.CPU(t, 1))
			got, few := run(launchingCPU(t, 1))
			if diff := distance(got, want); diff > 1e-5 {
				t.Errorf("logits and gradients differ by %g", diff)
			}
			// In each of two blocks q, k and v save two products, gate and up one: for u in both passes forward, for the
			// gradients of A, and for that of x, which the first q, k and v have none of.
			const saved = 2*2*3 + 2*3 + 2*3 - 2
			const savedOfTwo = 2*2 + 2 + 2 - 1 // k and v
			if fewer, known := map[string]int{"scalar": saved, "lora": saved, "some": savedOfTwo}[name]; known && many-few != fewer {
				t.Errorf("%d products, one by one %d: want %d fewer", few, many, fewer)
			}
		})
	}
}

// A prompt in pieces has the bits of the whole, which has rows enough for modules to be merged (ops.MergesFrom).
func TestPieces(t *testing.T) {
	m := tiny(t, open(t, 2))
	attach(t, m, Defaults())
	trained(t, m, 2)
	text := randomBatch(50).IDs[:50]
	last := func(pieces ...[]int32) (logits []float32) {
		d := m.NewDecoder(1, len(text))
		defer d.Close()
		for _, p := range pieces {
			rows, err := d.Step([][]int32{p})
			if err != nil {
				t.Fatal(err)
			}
			logits = rows[0]
		}
		return logits
	}
	if whole, pieces := last(text), last(text[:20], text[20:]); !slices.Equal(whole, pieces) {
		t.Errorf("in pieces logits are off by %.2g of their norm, want the same bits", distance(pieces, whole))
	}
}

// Beside a single row q, k and v, gate and up are one product each, of the weights where they have no bias and of the modules'
// A's, with the bits of the layers by themselves, whichever of them have modules; not of several rows.
func TestTokenTogether(t *testing.T) {
	for _, tt := range []struct {
		dtype, compute tensor.DType
		method         Method
		bias           bool
		products       int // of q, k and v: each takes one of its weight and two of its modules by itself
		targets        []string
	}{
		{tensor.F32, tensor.F32, MethodMultiLoRA, false, 5, []string{AllLinear}},
		{tensor.Q8, tensor.F32, MethodLoRA, false, 5, []string{AllLinear}},
		{tensor.BF16, tensor.BF16, MethodMultiLoRA, false, 5, []string{AllLinear}},
		{tensor.F32, tensor.F32, MethodMultiLoRA, true, 7, []string{AllLinear}},
		{tensor.F32, tensor.F32, MethodLoRA, false, 4, []string{"q_proj", "v_proj"}},
		{tensor.Q8, tensor.F32, MethodMultiLoRA, false, 4, []string{"q_proj", "v_proj"}},
		{tensor.BF16, tensor.BF16, MethodLoRA, false, 3, []string{"v_proj"}},
	} {
		d := testdevice.CPU(t, 2)
		m, err := llama.Blank(d, llama.Config{
			ModelType: "llama", Vocab: 61, Hidden: 128, Intermediate: 192, Layers: 1, Heads: 2, KVHeads: 1, HeadDim: 64,
			MaxPositions: 64, NormEps: 1e-5, InitRange: 0.2, QKVBias: tt.bias,
		}, llama.LoadOptions{DType: tt.dtype, ComputeDType: tt.compute})
		if err != nil {
			t.Fatal(err)
		}
		numbers := make([]float32, 128*192)
		for i := range numbers {
			numbers[i] = float32(i%13-6) / 8
		}
		for _, p := range nn.Params(m) {
			if n := p.Value.Numel(); n <= len(numbers) {
				p.Value.SetFloat32s(numbers[:n])
			}
		}
		cfg := Defaults()
		cfg.Targets = tt.targets
		if cfg.Method = tt.method; tt.method == MethodLoRA {
			cfg.Modules = 1
		}
		for _, l := range attach(t, m, cfg).layers {
			b := make([]float32, l.linear.B.Value.Numel())
			for i := range b {
				b[i] = float32(i%7-3) / 16
			}
			l.linear.B.Value.SetFloat32s(b)
		}
		a := m.Blocks[0].Attention
		layers := []nn.Layer{a.Q, a.K, a.V}
		joiner := a.V.(nn.Joiner)
		x := autograd.Const(d.FromFloat32s(tt.compute, numbers[:128], 1, 1, 128))
		var alone, together [][]float32
		for _, l := range layers {
			alone = append(alone, read(t, l.Forward(x).Tensor()))
		}
		products := 0
		stop := d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
			if _, ok := k.(kernels.Matmul); ok {
				products++
			}
		})
		for _, y := range joiner.ForwardAll(x, layers) {
			together = append(together, read(t, y.Tensor()))
		}
		stop()
		if products != tt.products || !slices.EqualFunc(together, alone, slices.Equal[[]float32]) {
			t.Errorf("%v: %d products, want %d and the bits of one by one", tt, products, tt.products)
		}
		two := autograd.Const(d.FromFloat32s(tt.compute, numbers[:256], 1, 2, 128))
		tape := autograd.NewTape(d)
		if joiner.ForwardAll(two, layers) != nil || joiner.ForwardAll(x, layers) != nil {
			t.Errorf("%v: two rows, or one that is recorded, together", tt)
		}
		tape.Close()
	}
}

// Scalings of neighbors lie in one memory, which stays while one of them does not train.
func TestFrozenBesideTrained(t *testing.T) {
	m := tiny(t, open(t, 2))
	attach(t, m, Defaults())
	for name, p := range nn.Params(m) {
		p.Frozen = p.Frozen || strings.HasSuffix(name, "layers.0.self_attn.v_proj.s")
	}
	if _, err := optim.Gather(m.Device(), m); err != nil {
		t.Fatal(err)
	}
	for name, p := range nn.Params(m) {
		if !p.Value.Alive() {
			t.Errorf("%s is gone", name)
		}
	}
	backward(t, m, batch(), 0)
}
