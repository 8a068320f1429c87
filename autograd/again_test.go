package autograd_test

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
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
