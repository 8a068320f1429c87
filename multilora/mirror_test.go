package multilora

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// withMirror is a model with matrices and activations of a type, and an adapter that says something.
func withMirror(t *testing.T, d *tensor.Device, dt tensor.DType, cfg Config) (*llama.Model, *Adapter) {
	t.Helper()
	f32, err := llama.New(d, llama.Config{ModelType: "llama", Vocab: 61, Hidden: 24, Intermediate: 40, Layers: 2, Heads: 3,
		KVHeads: 1, HeadDim: 8, MaxPositions: 64, NormEps: 1e-5, InitRange: 0.2}, 7)
	if err != nil {
		t.Fatal(err)
	}
	m := load(t, d, folder(t, f32, dt), dt)
	a := attach(t, m, cfg)
	for _, l := range a.layers {
		b := make([]float32, l.linear.B.Value.Numel())
		for i := range b {
			b[i] = float32(i%7-3) / 16
		}
		l.linear.B.Value.SetFloat32s(b)
	}
	return m, a
}

// mirroring is a device that keeps a mirror beside activations of a type: the CPU, and for f32 one on which every kernel
// has a price.
func mirroring(t *testing.T, dt tensor.DType, threads int) *tensor.Device {
	if dt != tensor.F32 {
		return open(t, threads)
	}
	return launchingCPU(t, threads)
}

// Logits and gradients have the bits of an adapter whose modules are scaled and rounded for every product, also right after
// every kind of write to a parameter, alone and in the memory of all that trains. Where kernels have a price, the gradients
// of all layers are made at once, and the order of sums is another.
func TestMirrorIsNeverOutOfDate(t *testing.T) {
	for _, dt := range tensor.ActivationTypes() {
		eachKind(t, func(t *testing.T, cfg Config) {
			m, a := withMirror(t, mirroring(t, dt, 2), dt, cfg)
			check := func(when string) {
				t.Helper()
				with := bitsOf(t, m, a)
				mirrors := map[*Linear]*mirror{}
				for _, l := range a.layers {
					mirrors[l.linear], l.linear.mirror = l.linear.mirror, nil
				}
				without := bitsOf(t, m, a)
				for l, own := range mirrors {
					l.mirror = own
				}
				if dt == tensor.F32 {
					if e := distance(with, without); !(e < 1e-6) {
						t.Errorf("%v, %s: differs by %g from what it is without a mirror", dt, when, e)
					}
				} else if !slices.Equal(with, without) {
					t.Errorf("%v, %s: other bits than without a mirror", dt, when)
				}
			}
			first := a.layers[0].linear
			check("at first")
			first.B.Value.SetFloat32s(make([]float32, first.B.Value.Numel()))
			check("when a B was written")
			tr := gather(t, m)
			check("when all was gathered")
			o, err := optim.New(tr, optim.DefaultAdamW())
			if err != nil {
				t.Fatal(err)
			}
			backward(t, m, batch(), 0)
			o.Step(0.1)
			check("after a step")
			d := m.Device()
			d.Run(kernels.Fill{N: first.A.Value.Numel(), Value: 0.25}, first.A.Value)
			check("when a kernel has written an A")
			if first.S != nil {
				first.S.Value.SetFloat32s(slices.Repeat([]float32{0.5}, first.S.Value.Numel()))
				check("when scalings were written")
			}
		})
	}
}

// bitsOf are logits, and the gradients of a tape of its own, which are zero before and after.
func bitsOf(t *testing.T, m *llama.Model, a *Adapter) []float32 {
	t.Helper()
	all := logits(t, m, batch())
	if a.layers[0].linear.A.Grad == nil {
		return all
	}
	before := map[*autograd.Param][]float32{}
	for _, l := range a.layers {
		for _, p := range []*autograd.Param{l.linear.A, l.linear.B, l.linear.S} {
			if p != nil {
				before[p] = read(t, p.Grad)
				p.Grad.SetFloat32s(make([]float32, p.Grad.Numel()))
			}
		}
	}
	backward(t, m, batch(), 0)
	for _, l := range a.layers {
		for _, p := range []*autograd.Param{l.linear.A, l.linear.B, l.linear.S} {
			if p != nil {
				all = append(all, read(t, p.Grad)...)
				p.Grad.SetFloat32s(before[p])
			}
		}
	}
	return all
}

// A step makes one kernel of the modules of all layers, and an evaluation behind it none.
func TestMirrorIsMadeOnceAStep(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
		t.Run(dt.String(), func(t *testing.T) { madeOnceAStep(t, dt) })
	}
}

func madeOnceAStep(t *testing.T, dt tensor.DType) {
	m, _ := withMirror(t, mirroring(t, dt, 1), dt, kinds()["scalar"])
	tr := gather(t, m)
	o, err := optim.New(tr, optim.DefaultAdamW())
	if err != nil {
		t.Fatal(err)
	}
	backward(t, m, batch(), 0)
	o.Step(0.01)
	made, grads := 0, 0
	stop := m.Device().Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
		switch k.(type) {
		case kernels.LoRAMirror:
			made++
		case kernels.LoRAMirrorGrad:
			grads++
		case kernels.LoRAScale:
			t.Error("a layer has scaled its B for itself")
		case kernels.LoRAScaleGrad:
			if m.Device().Launches() {
				t.Error("a layer has made its gradients for itself")
			}
		}
	})
	defer stop()
	backward(t, m, batch(), 1)
	backward(t, m, batch(), 1)
	logits(t, m, batch())
	if made != 1 {
		t.Errorf("the mirror was made %d times, want once", made)
	}
	if want := 2; m.Device().Launches() && grads != want {
		t.Errorf("%d kernels for the gradients, want %d", grads, want)
	}
}

// Where B and the scalings lie in one memory, each layer makes its gradients for itself.
func TestGradientsOfOneMemory(t *testing.T) {
	m, a := withMirror(t, mirroring(t, tensor.F32, 2), tensor.F32, kinds()["scalar"])
	gather(t, m, optim.Group{Match: "*", LRFactor: 1})
	l := a.layers[0].linear
	if l.B.Grad.Memory() != l.S.Grad.Memory() {
		t.Fatal("gradients of B and of the scalings lie apart")
	}
	with := bitsOf(t, m, a)
	for _, l := range a.layers {
		l.linear.mirror = nil
	}
	if e := distance(with, bitsOf(t, m, a)); !(e < 1e-6) {
		t.Errorf("differs by %g from what it is without a mirror", e)
	}
}

// Beside f32 activations on a CPU what watches over recorded tokens makes a mirror while an adapter trains for few rows alone:
// products of more do not take it.
func TestMirrorOfRecordedTokens(t *testing.T) {
	for rows, want := range map[int]bool{1: true, fewRows: true, fewRows + 1: false} {
		m, a := withMirror(t, open(t, 1), tensor.F32, kinds()["scalar"])
		gather(t, m)
		backward(t, m, batch(), 0)
		l := a.layers[0].linear
		still := l.Steady(tensor.F32, rows)
		if still == nil || !still() {
			t.Fatal("the layer is not steady")
		}
		if made := l.mirror.of != nil; made != want {
			t.Errorf("%d rows: a mirror was made: %t, want %t", rows, made, want)
		}
	}
}

// A text written between steps on a CPU, beside f32 activations, reads the mirror: it has the bits of an adapter without one,
// whose B is scaled for every product, before training and after each step.
func TestMirrorOfTokensBetweenSteps(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		m, a := withMirror(t, open(t, 2), tensor.F32, cfg)
		o, err := optim.New(gather(t, m), optim.DefaultAdamW())
		if err != nil {
			t.Fatal(err)
		}
		for step := range 3 {
			with := logits(t, m, randomBatch(4))
			mirrors := map[*Linear]*mirror{}
			for _, l := range a.layers {
				mirrors[l.linear], l.linear.mirror = l.linear.mirror, nil
			}
			without := logits(t, m, randomBatch(4))
			for l, own := range mirrors {
				if l.mirror = own; own != nil && own.of == nil {
					t.Error("no mirror was made")
				}
			}
			if !slices.Equal(with, without) {
				t.Errorf("after %d steps: other bits than without a mirror", step)
			}
			backward(t, m, batch(), step)
			o.Step(0.1)
		}
	})
}
