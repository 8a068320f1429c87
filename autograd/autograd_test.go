package autograd_test

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"weak"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

func floats(t *testing.T, x *tensor.Tensor) []float32 {
	t.Helper()
	if x == nil {
		t.Fatal("there is no tensor")
	}
	f, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func vector(d *tensor.Device, v ...float32) *tensor.Tensor {
	return d.FromFloat32s(tensor.F32, v, len(v))
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	if err := tensor.Catch(f); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

// x is used three times: d(x*x + x)/dx = 2x + 1.
func TestGradientsOfOneVariableAddUp(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(vector(d, 3))
	tape.Backward(ops.Add(ops.Mul(x, x), x))
	if g := floats(t, tape.Grad(x)); g[0] != 7 {
		t.Errorf("gradient %v, want 7", g)
	}
}

func TestParameterGradientsAccumulateAndFrozenOnesDoNot(t *testing.T) {
	d := testdevice.CPU(t, 2)
	p, frozen := autograd.NewParam(vector(d, 2)), autograd.Frozen(vector(d, 5))
	p.Grad, frozen.Grad = vector(d, 100), vector(d, 100)
	for range 2 {
		tape := autograd.NewTape(d)
		tape.Backward(ops.Mul(p.Var(), frozen.Var()))
		tape.Close()
	}
	if g := floats(t, p.Grad); g[0] != 110 {
		t.Errorf("gradient %v, want 100 + 2*5", g)
	}
	if g := floats(t, frozen.Grad); g[0] != 100 {
		t.Errorf("frozen parameter's gradient became %v", g)
	}
}

func TestNothingIsRecordedOrSavedWithoutATape(t *testing.T) {
	d := testdevice.CPU(t, 2)
	scope := d.Scope() // also of the parameter: the collector must not take it while what is live is counted
	defer scope.Close()
	p := autograd.NewParam(vector(d, 2, 3))
	p.Grad = vector(d, 0, 0)
	before := d.Stats().Live
	y := ops.RMSNorm(autograd.Const(vector(d, 1, 2)), p.Var(), 1e-5)
	if y.NeedsGrad() {
		t.Error("a result without a tape needs a gradient")
	}
	if made := d.Stats().Live - before; made != 512 {
		t.Errorf("%d bytes live more, want the input and the output, 256 each", made)
	}
}

func TestBackwardFreesOnItsWay(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	x := tape.Leaf(d.FromFloat32s(tensor.F32, make([]float32, 1<<16), 1<<16))
	kept := ops.Mul(x, x)
	tape.Keep(kept)
	y := kept
	for range 20 {
		y = ops.Mul(y, y)
	}
	seed := d.FromFloat32s(tensor.F32, make([]float32, 1<<16), 1<<16)
	live := d.Stats().Live
	d.ResetPeak()
	tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{seed})
	if peak := d.Stats().Peak - live; peak > 3<<18 {
		t.Errorf("Backward needed %d bytes more than Forward left, want at most three tensors", peak)
	}
	// x, its gradient, the seed, the last result and the kept one
	if s := d.Stats(); s.Live > 5<<18 {
		t.Errorf("%d bytes live after Backward, want five tensors", s.Live)
	}
	tape.Close()
	if !kept.Tensor().Alive() || y.Tensor().Alive() {
		t.Error("only the kept value must outlive the tape")
	}
}

func TestUseAfterBackwardSaysSo(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(vector(d, 3))
	y := ops.Mul(x, x)
	tape.Backward(ops.Mul(y, y))
	mustPanic(t, "Tape.Keep holds a value longer", func() { _, _ = y.Tensor().Float32s() })
	mustPanic(t, "walked already", func() { tape.Backward(y) })
}

func TestBackwardChecksTheLoss(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	mustPanic(t, "want one element", func() { tape.Backward(tape.Leaf(vector(d, 1, 2))) })
	mustPanic(t, "does not depend on anything that trains", func() { tape.Backward(autograd.Const(vector(d, 1))) })
}

func TestCheckpoint(t *testing.T) {
	d := testdevice.CPU(t, 2)
	w := autograd.NewParam(vector(d, 1.5, -2, 0.5))
	step := func(checkpoint bool) (loss, dx, dw []float32) {
		w.Grad = vector(d, 0, 0, 0)
		tape := autograd.NewTape(d)
		defer tape.Close()
		tape.Seed, tape.Step = 1, 2
		x := tape.Leaf(vector(d, 1, 2, 3))
		f := func(x *autograd.Var) *autograd.Var {
			return ops.Mul(ops.Mul(x, w.Var()), ops.RMSNorm(x, w.Var(), 1e-5))
		}
		h := ops.Mul(x, x)
		if checkpoint {
			h = autograd.Checkpoint(f, h)
		} else {
			h = f(h)
		}
		y := ops.MatMul(ops.Reshape(h, 1, 3), ops.Reshape(h, 3, 1), false, false)
		tape.Backward(ops.Reshape(y, 1))
		return floats(t, y.Tensor()), floats(t, tape.Grad(x)), floats(t, w.Grad)
	}
	loss, dx, dw := step(false)
	loss2, dx2, dw2 := step(true)
	if !slices.Equal(loss, loss2) || !slices.Equal(dx, dx2) || !slices.Equal(dw, dw2) {
		t.Errorf("with a checkpoint %v %v %v, without %v %v %v", loss2, dx2, dw2, loss, dx, dw)
	}
	if dw[0] == 0 || math.IsNaN(float64(dw[0])) {
		t.Errorf("gradient %v shows nothing", dw)
	}
}

// A constant made on the tape serves a checkpointed segment and what comes behind it, which
// Backward passes first: it must still be there when the segment runs again.
func TestCheckpointUsesConstantsOfTheTape(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(vector(d, 1, 2))
	mask := autograd.Const(vector(d, 3, 5))
	inside := autograd.Checkpoint(func(x *autograd.Var) *autograd.Var { return ops.Mul(x, mask) }, x)
	y := ops.Mul(inside, mask)
	tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{vector(d, 1, 1)})
	if g := floats(t, tape.Grad(x)); g[0] != 9 || g[1] != 25 {
		t.Errorf("gradient %v, want 9 and 25", g)
	}
	if mask.Tensor().Alive() {
		t.Error("the constant outlives the walk past its last use")
	}
}

func TestCheckpointOfParametersOnly(t *testing.T) {
	d := testdevice.CPU(t, 2)
	w := autograd.NewParam(vector(d, 3))
	w.Grad = vector(d, 0)
	tape := autograd.NewTape(d)
	defer tape.Close()
	tape.Backward(autograd.Checkpoint(func(x *autograd.Var) *autograd.Var { return ops.Mul(x, w.Var()) },
		autograd.Const(vector(d, 5))))
	if g := floats(t, w.Grad); g[0] != 5 {
		t.Errorf("gradient %v, want 5", g)
	}
}

func TestCheckpointDrawsTheSameNumbersAgain(t *testing.T) {
	d := testdevice.CPU(t, 2)
	ones := make([]float32, 1000)
	for i := range ones {
		ones[i] = 1
	}
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(d.FromFloat32s(tensor.F32, ones, 1000))
	first := ops.Dropout(x, 0.5)
	y := autograd.Checkpoint(func(x *autograd.Var) *autograd.Var { return ops.Dropout(ops.Dropout(x, 0.3), 0.5) },
		first)
	last := ops.Dropout(y, 0.1)
	out := floats(t, last.Tensor())
	seed := d.FromFloat32s(tensor.F32, ones, 1000)
	tape.BackwardFrom([]*autograd.Var{last}, []*tensor.Tensor{seed})
	// Dropout is linear: at x = 1 the gradient is the output itself.
	for i, g := range floats(t, tape.Grad(x)) {
		if math.Abs(float64(g-out[i])) > 1e-5 {
			t.Fatalf("element %d: gradient %v, output %v: the masks of Backward are not those of Forward", i, g, out[i])
		}
	}
	if n := len(slices.DeleteFunc(out, func(f float32) bool { return f == 0 })); n < 100 || n > 220 {
		t.Errorf("%d of 1000 kept, want about %g", n, 1000*0.5*0.7*0.5*0.9)
	}
}

func TestCheckpointRefusesOtherVariables(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(vector(d, 1))
	other := ops.Mul(x, x)
	mustPanic(t, "belongs to another tape", func() {
		autograd.Checkpoint(func(x *autograd.Var) *autograd.Var { return ops.Add(x, other) }, x)
	})
}

// A panic in the middle of an operation must not leave its scope open: everything made
// later would belong to it and never be freed.
func TestPanicInAnOperationClosesItsScope(t *testing.T) {
	d := testdevice.CPU(t, 2)
	before := d.CurrentScope()
	mustPanic(t, "want f32", func() {
		ops.SwiGLU(autograd.Const(vector(d, 1, 2)), autograd.Const(d.FromFloat32s(tensor.BF16, []float32{1, 2}, 2)))
	})
	if d.CurrentScope() != before {
		t.Error("a scope is still open")
	}
}

// A result that lives on does not hold what it was computed from.
func TestResultsDoNotHoldTheirInputs(t *testing.T) {
	d := testdevice.CPU(t, 2)
	x := autograd.Const(vector(d, 1, 2))
	gone := weak.Make(x)
	y := ops.Add(x, autograd.Const(vector(d, 3, 4)))
	x = nil
	runtime.GC()
	if gone.Value() != nil {
		t.Error("the input is still there")
	}
	if got := floats(t, y.Tensor()); got[1] != 6 {
		t.Errorf("the result is %v", got)
	}
}
