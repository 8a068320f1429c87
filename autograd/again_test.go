package autograd_test

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// What a Cheap operation has made is forgotten by a segment, made again once for all who read it, and freed; gradients are
// those without a segment, also where what is made again is made of what is.
func TestSegmentForgetsWhatIsCheap(t *testing.T) {
	d := testdevice.CPU(t, 2)
	d.Poison(true)
	const rows, dim = 1 << 8, 1 << 8
	matrix := func() *tensor.Tensor { return long(d).Reshape(rows, dim) }
	for name, c := range map[string]struct {
		f     func(x, w *autograd.Var) *autograd.Var
		kept  int            // matrices that the segment leaves
		again map[string]int // kernels of both ways
	}{
		"read twice": {func(x, w *autograd.Var) *autograd.Var {
			y := ops.SwiGLU(x, x)
			return ops.Add(ops.Linear(y, w, nil), ops.Linear(y, w, nil))
		}, 1, map[string]int{"swiglu": 2}},
		"of what is cheap": {func(x, w *autograd.Var) *autograd.Var {
			return ops.Linear(ops.RMSNorm(ops.SwiGLU(x, x), autograd.Const(d.FromFloat32s(tensor.F32,
				slices.Repeat([]float32{0.5}, dim), dim)), 1e-5), w, nil)
		}, 1, map[string]int{"swiglu": 2, "rms_norm": 2}},
		"the result itself": {func(x, w *autograd.Var) *autograd.Var { return ops.SwiGLU(ops.Linear(x, w, nil), x) },
			2, map[string]int{"swiglu": 1}},
		"read under another shape": {func(x, w *autograd.Var) *autograd.Var {
			return ops.Linear(ops.Reshape(ops.SwiGLU(x, x), rows, dim), w, nil)
		}, 2, map[string]int{"swiglu": 1}},
	} {
		run := func(segment bool) (all [2][]float32) {
			w := autograd.NewParam(matrix())
			w.Grad = d.New(tensor.F32, rows, dim)
			w.ForgetGrad()
			tape := autograd.NewTape(d)
			defer tape.Close()
			x, gradient := tape.Leaf(matrix()), matrix()
			before := d.Stats().Live
			y := (*autograd.Var)(nil)
			if f := func(x *autograd.Var) *autograd.Var { return c.f(x, w.Var()) }; !segment {
				y = f(x)
			} else if y = autograd.Segment(f, x); (d.Stats().Live-before)/longBytes != c.kept {
				t.Errorf("%s: %d bytes are left, want %d matrices", name, d.Stats().Live-before, c.kept)
			}
			tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{gradient})
			if live := (d.Stats().Live - before) / longBytes; live > 1 { // y, the gradient of x in its place
				t.Errorf("%s: %d matrices more than before are left behind Backward", name, live)
			}
			return [2][]float32{floats(t, tape.Grad(x)), floats(t, w.Grad)}
		}
		plain := run(false)
		for kernel, want := range c.again {
			var segment [2][]float32
			if n := kernelsOf(d, kernel, func() { segment = run(true) }); n != want {
				t.Errorf("%s: %s has run %d times, want %d", name, kernel, n, want)
			}
			for i := range plain {
				if !slices.Equal(segment[i], plain[i]) {
					t.Errorf("%s: gradient %d is another with a segment", name, i)
				}
			}
		}
	}
}

// saves doubles a matrix and saves it itself: its Backward gives the gradient times what is saved.
type saves struct{}

func (saves) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.Scale{N: y.Numel(), Alpha: 2}, y, f.In[0])
	return []*tensor.Tensor{y}, []*tensor.Tensor{f.In[0]}
}

func (saves) Backward(b *autograd.Backward) {
	x := b.Saved[0]
	b.Run(kernels.Mul{N: x.Numel(), M: x.Numel()}, b.Grad(0), x, b.DOut[0])
}

func (saves) BackwardReads([]bool) autograd.Reads { return autograd.Reads{Saved: true} }

func (saves) Examples() []autograd.Example { return nil }

// readsOut is a Cheap operation whose Backward reads its result.
type readsOut struct{ saves }

func (readsOut) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	out, _ = saves{}.Forward(f)
	return out, nil
}

func (readsOut) Backward(b *autograd.Backward) {
	y := b.Out[0]
	b.Run(kernels.Mul{N: y.Numel(), M: y.Numel()}, b.Grad(0), y, b.DOut[0])
}

func (readsOut) BackwardReads([]bool) autograd.Reads { return autograd.Reads{Out: []bool{true}} }

func (readsOut) CheapAgain() {}

// passes is a sum whose Backward gives its second input as the gradient of the first.
func passes() sum2 {
	return sum2{func(b *autograd.Backward) {
		b.SetGrad(0, b.In[1])
		b.SetGrad(1, b.DOut[0])
	}}
}

// What is cheap stays where a Backward has it as another tensor than an input, and lives on where it is a gradient.
func TestSegmentKeepsWhatIsNoInput(t *testing.T) {
	d := testdevice.CPU(t, 2)
	d.Poison(true)
	for name, f := range map[string]func(x *autograd.Var) *autograd.Var{
		"saved": func(x *autograd.Var) *autograd.Var {
			return autograd.Apply(saves{}, ops.SwiGLU(x, x))[0]
		},
		"saved and an input": func(x *autograd.Var) *autograd.Var {
			y := ops.SwiGLU(x, x)
			return ops.Mul(autograd.Apply(saves{}, y)[0], y)
		},
		"its own result": func(x *autograd.Var) *autograd.Var {
			return ops.Scale(autograd.Apply(readsOut{}, x)[0], 3, 0)
		},
		"a gradient": func(x *autograd.Var) *autograd.Var {
			return autograd.Apply(passes(), ops.SiLU(x), ops.SwiGLU(x, x))[0]
		},
		"a gradient, and read when that has been dropped": func(x *autograd.Var) *autograd.Var {
			y := ops.SwiGLU(x, x)
			return autograd.Apply(passes(), ops.SiLU(ops.Mul(y, y)), y)[0]
		},
		"a gradient that stays": func(x *autograd.Var) *autograd.Var {
			return autograd.Apply(passes(), x, ops.SwiGLU(x, x))[0]
		},
	} {
		run := func(segment bool) []float32 {
			tape := autograd.NewTape(d)
			defer tape.Close()
			x := tape.Leaf(long(d))
			y := (*autograd.Var)(nil)
			if segment {
				y = ops.Scale(autograd.Segment(f, x), 2, 0)
			} else {
				y = ops.Scale(f(x), 2, 0)
			}
			tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{long(d)})
			return floats(t, tape.Grad(x))
		}
		want := run(false)
		var got []float32
		if err := tensor.Catch(func() { got = run(true) }); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: in a segment the gradient is another (%v)", name, err)
		}
	}
}

// launching is the CPU as a device on which every kernel has a price.
type launching struct{ tensor.Backend }

func (launching) Launches() {}

// Where every kernel has a price nothing is made again.
func TestSegmentKeepsWhatIsCheapWhereKernelsHaveAPrice(t *testing.T) {
	b, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	d := testdevice.On(t, launching{b})
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(long(d))
	before := d.Stats().Live
	n := kernelsOf(d, "swiglu", func() {
		y := autograd.Segment(func(x *autograd.Var) *autograd.Var { return ops.SiLU(ops.SwiGLU(x, x)) }, x)
		if live := d.Stats().Live - before; live != 2*longBytes {
			t.Errorf("%d bytes are left, want the result and what SiLU reads, %d", live, 2*longBytes)
		}
		tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{long(d)})
	})
	if n != 1 {
		t.Errorf("swiglu has run %d times, want once", n)
	}
}
