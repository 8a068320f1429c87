package autograd_test

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// long is a vector whose memory shows among all others'.
func long(d *tensor.Device) *tensor.Tensor {
	v := make([]float32, 1<<16)
	for i := range v {
		v[i] = float32(i%7) - 3
	}
	return d.FromFloat32s(tensor.F32, v, len(v))
}

const longBytes = 4 << 16

func TestSegmentForgetsWhatNobodyReads(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(long(d))
	before := d.Stats().Live
	y := autograd.Segment(func(x *autograd.Var) *autograd.Var {
		return ops.Scale(ops.SiLU(ops.Scale(ops.Scale(x, 2, 0), 3, 0)), 5, 0)
	}, x)
	if live := d.Stats().Live - before; live != 2*longBytes {
		t.Errorf("%d bytes are left, want the result and what SiLU reads, %d", live, 2*longBytes)
	}
	tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{long(d)})
	if g := tape.Grad(x); g == nil || g.Numel() != 1<<16 {
		t.Errorf("gradient %v", g)
	}
}

// What Backward does not read is freed before it begins, outside segments as well.
func TestBackwardFreesWhatNobodyReads(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(long(d))
	h := ops.Scale(x, 2, 0)
	y := ops.Scale(h, 3, 0)
	seed := long(d)
	d.Trace(func(tensor.Kernel, []*tensor.Tensor) {
		if h.Tensor().Alive() || x.Tensor().Alive() {
			t.Error("an input of scale is there while Backward runs")
		}
	})
	tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{seed})
	if !y.Tensor().Alive() {
		t.Error("the output is gone before Close")
	}
}

// hasty reads less than it says.
type hasty struct{ sum2 }

func (hasty) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func TestBackwardReadsOnlyWhatItSays(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	op := hasty{sum2{func(b *autograd.Backward) {
		b.Run(kernels.Scale{N: 2, Alpha: 1}, b.Grad(0), b.In[1])
		b.SetGrad(1, b.DOut[0])
	}}}
	y := ops.Sum(autograd.Apply(op, tape.Leaf(vector(d, 1, 2)), tape.Leaf(vector(d, 3, 4)))[0])
	mustPanic(t, "is gone: Backward has passed it", func() { tape.Backward(y) })
}

// kernelsOf counts the kernels of a name that f runs.
func kernelsOf(d *tensor.Device, name string, f func()) (n int) {
	stop := d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
		if k.Name() == name {
			n++
		}
	})
	defer stop()
	f()
	return n
}

// Of a checkpointed segment's second run the calls behind the last that somebody reads are left out, and only those.
func TestCheckpointLeavesOutItsEnd(t *testing.T) {
	d := testdevice.CPU(t, 2)
	f := func(x *autograd.Var) *autograd.Var {
		h := ops.Sum(ops.Mul(x, ops.Dropout(ops.Sum(ops.Expand(x, 5, -1), 0), 0.5)), 0)
		// From here on only constants are multiplied, and of constants only shapes are read.
		return ops.Sum(ops.Expand(h, 3), 0)
	}
	grad := func(checkpoint bool) (g []float32, sums int) {
		tape := autograd.NewTape(d)
		defer tape.Close()
		tape.Seed = 7
		x := tape.Leaf(vector(d, 1, 2, 3, 4, 5, 6, 7, 8))
		sums = kernelsOf(d, "sum", func() {
			y := f
			if checkpoint {
				y = func(x *autograd.Var) *autograd.Var { return autograd.Checkpoint(f, x) }
			}
			tape.Backward(y(ops.Scale(x, 1, 0)))
		})
		return floats(t, tape.Grad(x)), sums
	}
	want, sums := grad(false)
	got, again := grad(true)
	if !slices.Equal(got, want) || slices.Max(got) == 0 {
		t.Errorf("gradient %v with a checkpoint, %v without", got, want)
	}
	if again != sums+1 {
		t.Errorf("%d sums with a checkpoint, %d without: want the first of three again", again, sums)
	}
}

// Dropout at a segment's end runs once, and its gradient has the mask of that.
func TestCheckpointLeavesOutDropout(t *testing.T) {
	d := testdevice.CPU(t, 2)
	ones := slices.Repeat([]float32{1}, 1000)
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(d.FromFloat32s(tensor.F32, ones, 1000))
	var y *autograd.Var
	var out []float32
	n := kernelsOf(d, "dropout", func() {
		y = autograd.Checkpoint(func(x *autograd.Var) *autograd.Var { return ops.Dropout(x, 0.5) }, ops.Dropout(x, 0))
		out = floats(t, y.Tensor())
		tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{d.FromFloat32s(tensor.F32, ones, 1000)})
	})
	if g := floats(t, tape.Grad(x)); !slices.Equal(g, out) || slices.Max(g) == slices.Min(g) {
		t.Error("the mask of Backward is not that of Forward")
	}
	if n != 2 {
		t.Errorf("dropout has run %d times, want once forward and once back", n)
	}
}

// Checkpoints nest, with constants of every level, and inside a segment.
func TestCheckpointsNest(t *testing.T) {
	d := testdevice.CPU(t, 2)
	w := autograd.NewParam(vector(d, 1.5, -2, 0.5))
	step := func(run func(func(*autograd.Var) *autograd.Var, *autograd.Var) *autograd.Var) (dx, dw []float32) {
		w.Grad = vector(d, 0, 0, 0)
		tape := autograd.NewTape(d)
		defer tape.Close()
		tape.Seed = 5
		x := tape.Leaf(vector(d, 1, 2, 3))
		outer := autograd.Const(vector(d, 2, 3, 5))
		h := autograd.Segment(func(x *autograd.Var) *autograd.Var {
			middle := autograd.Const(vector(d, 7, 11, 13))
			return run(func(x *autograd.Var) *autograd.Var {
				inner := autograd.Const(vector(d, 1, -1, 2))
				for range 3 {
					x = run(func(x *autograd.Var) *autograd.Var {
						x = ops.Mul(ops.Mul(ops.SiLU(x), middle), ops.Mul(inner, outer))
						return ops.Dropout(ops.Mul(x, w.Var()), 0.3)
					}, x)
				}
				return x
			}, ops.Scale(x, 0.01, 0))
		}, ops.Scale(x, 1, 0))
		tape.Backward(ops.Sum(h))
		return floats(t, tape.Grad(x)), floats(t, w.Grad)
	}
	dx, dw := step(func(f func(*autograd.Var) *autograd.Var, x *autograd.Var) *autograd.Var { return f(x) })
	dx2, dw2 := step(autograd.Checkpoint)
	if !slices.Equal(dx, dx2) || !slices.Equal(dw, dw2) {
		t.Errorf("with checkpoints %v %v, without %v %v", dx2, dw2, dx, dw)
	}
	if dx[0] == 0 && dx[1] == 0 && dx[2] == 0 {
		t.Errorf("gradient %v shows nothing", dx)
	}
}

func TestCheckpointWantsTheSameCalls(t *testing.T) {
	d := testdevice.CPU(t, 2)
	for _, second := range []func(x *autograd.Var) *autograd.Var{
		func(x *autograd.Var) *autograd.Var { return ops.SiLU(x) },
		func(x *autograd.Var) *autograd.Var { return ops.Scale(x, 2, 0) },
		func(x *autograd.Var) *autograd.Var { return ops.SiLU(ops.SiLU(ops.Scale(x, 2, 0))) },
	} {
		tape := autograd.NewTape(d)
		runs := 0
		y := autograd.Checkpoint(func(x *autograd.Var) *autograd.Var {
			if runs++; runs == 1 {
				return ops.SiLU(ops.Scale(x, 2, 0))
			}
			return second(x)
		}, tape.Leaf(vector(d, 1)))
		mustPanic(t, "makes other calls when it is called again", func() { tape.Backward(y) })
		tape.Close()
	}
}

// A gradient takes the place of an input only where that is read no more, and is the same there.
func TestGradientsOverTheirInputs(t *testing.T) {
	d := testdevice.CPU(t, 2)
	for name, f := range map[string]func(gate, up *autograd.Var) *autograd.Var{
		"once":         func(gate, up *autograd.Var) *autograd.Var { return ops.SwiGLU(gate, up) },
		"both the one": func(gate, _ *autograd.Var) *autograd.Var { return ops.SwiGLU(gate, gate) },
		"read before": func(gate, up *autograd.Var) *autograd.Var {
			return ops.Mul(ops.Mul(gate, up), ops.SwiGLU(gate, up))
		},
		"read under another shape": func(gate, up *autograd.Var) *autograd.Var {
			view := ops.Reshape(gate, 1, -1)
			product := ops.Mul(view, ops.Reshape(up, 1, -1))
			return ops.Mul(ops.Reshape(product, -1), ops.SwiGLU(gate, up))
		},
		"read later": func(gate, up *autograd.Var) *autograd.Var {
			y := ops.SwiGLU(gate, up)
			return ops.Mul(y, ops.Mul(gate, up))
		},
	} {
		grads := func(outside bool) (all [2][]float32) {
			numbers := [2]*tensor.Tensor{long(d), long(d)} // which the tape has not
			tape := autograd.NewTape(d)
			defer tape.Close()
			if !outside {
				numbers = [2]*tensor.Tensor{long(d), long(d)}
			}
			leaves := [2]*autograd.Var{tape.Leaf(numbers[0]), tape.Leaf(numbers[1])}
			y := f(leaves[0], leaves[1])
			tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{long(d)})
			for i, x := range leaves {
				if g := tape.Grad(x); g != nil {
					all[i] = floats(t, g)
				}
				if outside && !slices.Equal(floats(t, numbers[i]), floats(t, long(d))) {
					t.Errorf("%s: Backward has written to leaf %d, which is not the tape's", name, i)
				}
			}
			return all
		}
		want, got := grads(true), grads(false)
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%s: gradient %d is another where the tape owns its input", name, i)
			}
		}
	}
}

func TestGradientsTakeNoMemoryOfTheirOwn(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	y := ops.SwiGLU(tape.Leaf(long(d)), tape.Leaf(long(d)))
	seed := long(d)
	before := d.Stats().Live
	d.ResetPeak()
	tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{seed})
	if more := d.Stats().Peak - before; more > 0 {
		t.Errorf("Backward has had %d bytes more than there were at its beginning", more)
	}
}
