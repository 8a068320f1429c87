package train

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

func TestLossScaleRule(t *testing.T) {
	l, err := NewLossScale(1 << 31)
	if err != nil {
		t.Fatal(err)
	}
	pass := func(n int) {
		for range n {
			l.passed()
		}
	}
	want := func(scale float64, good, skipped int) {
		t.Helper()
		if *l != (LossScale{scale, good, skipped}) {
			t.Errorf("%+v, want scale %v, %d good, %d skipped", *l, scale, good, skipped)
		}
	}
	pass(1999)
	want(1<<31, 1999, 0)
	pass(1)
	want(1<<32, 0, 0)
	pass(2000)
	want(1<<32, 0, 0) // the largest
	pass(7)
	for i := range 32 {
		if !l.overflowed() {
			t.Fatalf("no smaller scale after %d overflows", i)
		}
	}
	want(1, 0, 32)
	pass(3)
	if l.overflowed() {
		t.Error("a scale smaller than 1")
	}
	want(1, 3, 32)
	pass(1997)
	want(2, 0, 32)
	for _, bad := range []float64{0, 0.5, 3, 1 << 33, -1, math.NaN(), math.Inf(1)} {
		if _, err := NewLossScale(bad); err == nil ||
			!strings.Contains(err.Error(), "want a power of two from 1 to 4294967296") {
			t.Errorf("first scale %v: %v", bad, err)
		}
	}
	c := Defaults()
	if c.LossScale = 3; c.validateRun() == nil {
		t.Error("a setting loss-scale of 3 was taken")
	}
}

// gradients are those of a batch whose loss is divided by counted, divided by the scale,
// with the norm that ClipScaledByNorm tells.
func gradients(t *testing.T, dt tensor.DType, scale float64, counted int) (all []float64, norm float64) {
	t.Helper()
	tr := newTinyAs(t, dt, 2, 0)
	offStart(tr)
	tr.LossScale = &LossScale{Scale: scale}
	tr.backward(data.Batches(tinymodel.Rows(8, 2), 8)[0], counted, 0)
	tr.Trainable.ClipScaledByNorm(0, tr.LossScale.scale())
	norm, err := tr.Trainable.GradNorm()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tr.Trainable.Params() {
		g, err := p.Grad.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range g {
			all = append(all, x/scale)
		}
	}
	return all, norm
}

func norm(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// distanceOf is the difference of two gradients as a share of the second one's norm.
func distanceOf(a, b []float64) float64 {
	d := slices.Clone(a)
	for i := range d {
		d[i] -= b[i]
	}
	return norm(d) / norm(b)
}

// A scale changes no gradient: in f32 not by a bit, in f16 not by more than its rounding
// where nothing underflows; where all would, it gives what f32 has.
func TestLossScaleKeepsGradients(t *testing.T) {
	const few, many = 50, 50 << 24 // counted tokens
	exact, exactNorm := gradients(t, tensor.F32, 1, few)
	if scaled, n := gradients(t, tensor.F32, 4096, few); !slices.Equal(scaled, exact) || n != exactNorm {
		t.Errorf("f32: other bits with a scale, norm %v and %v", n, exactNorm)
	}
	plain, _ := gradients(t, tensor.F16, 1, few)
	scaled, n := gradients(t, tensor.F16, 64, few)
	if e := distanceOf(scaled, plain); !(e > 0 && e < 2e-3) {
		t.Errorf("f16: gradients with scale 64 and with 1 differ by %g of their norm", e)
	}
	if e := distanceOf(scaled, exact); !(e < 5e-3) {
		t.Errorf("f16 with scale 64 differs from f32 by %g of its norm", e)
	}
	if want := norm(scaled); !(math.Abs(n-want) < 1e-5*want) {
		t.Errorf("the norm is %v, want %v", n, want)
	}
	if lost, _ := gradients(t, tensor.F16, 1, many); norm(lost) != 0 {
		t.Errorf("without a scale the gradient is %g, which is no test", norm(lost))
	}
	saved, n := gradients(t, tensor.F16, 1<<28, many)
	tiny, want := gradients(t, tensor.F32, 1, many)
	if e := distanceOf(saved, tiny); !(e < 5e-3) || !(math.Abs(n-want) < 5e-3*want) {
		t.Errorf("with a scale f16's gradient differs from f32's by %g of its norm %g; the norm told is %g", e, want, n)
	}
}

// A step of very many tokens has gradients that f16 does not know. Only with a scale does
// the model learn anything.
func TestLossScaleSavesUnderflow(t *testing.T) {
	learned := func(scale *LossScale) float64 {
		tr := newTinyAs(t, tensor.F16, 2, 0)
		tr.LossScale = scale
		batches := data.Batches(tinymodel.Rows(8, 1), 8)
		loss := func() float64 {
			x, err := Evaluate(t.Context(), tr.Model, batches)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		before := loss()
		huge := StepResult{Counted: batches[0].Counted() << 20} // as if there were so many more that are predicted perfectly
		for range 40 {
			if r, err := tr.step(huge, batches); err != nil || r.Skipped {
				t.Fatal(r, err)
			}
		}
		return before - loss()
	}
	if gain := learned(nil); gain != 0 {
		t.Errorf("without a scale the loss fell by %v: no underflow", gain)
	}
	if gain := learned(&LossScale{Scale: firstLossScale}); !(gain > 1) {
		t.Errorf("with a scale the loss fell by %v", gain)
	}
}

// Steps whose gradients overflow change nothing but the scale, and the first one that does
// not is as if there had been none before it.
func TestOverflowSkipsAndHalves(t *testing.T) {
	start := func(scale float64) tiny {
		tr := newTinyAs(t, tensor.F16, 2, 0)
		offStart(tr)
		tr.LossScale, tr.Schedule = &LossScale{Scale: scale, Good: 5}, optim.Constant(0)
		return tr
	}
	tr := start(maxLossScale)
	batches := data.Batches(tinymodel.Rows(8, 2), 4)
	before := contents(t, tr)
	skipped, scale := 0, float64(maxLossScale)
	for {
		r, err := tr.Step(batches)
		if err != nil {
			t.Fatal(err)
		}
		if r.LossScale != scale {
			t.Fatalf("step %d had scale %v, want %v", skipped+1, r.LossScale, scale)
		}
		if !r.Skipped {
			break
		}
		if finite(r.GradNorm) || !finite(r.Loss) || !slices.Equal(contents(t, tr), before) {
			t.Fatalf("skipped with loss %v and norm %v; or something has moved", r.Loss, r.GradNorm)
		}
		skipped, scale = skipped+1, scale/2
		if want := (LossScale{scale, 0, skipped}); *tr.LossScale != want {
			t.Fatalf("after a skipped step %+v, want %+v", *tr.LossScale, want)
		}
	}
	if skipped == 0 || scale < 16 {
		t.Errorf("%d steps skipped, then the scale was %v", skipped, scale)
	}
	if want := (LossScale{scale, 1, skipped}); *tr.LossScale != want || tr.Optimizer.Steps() != 1 {
		t.Errorf("%+v after %d steps of the optimizer, want %+v and 1", *tr.LossScale, tr.Optimizer.Steps(), want)
	}
	other := start(scale)
	if _, err := other.Step(batches); err != nil {
		t.Fatal(err)
	}
	if after := contents(t, tr); slices.Equal(after, before) || !slices.Equal(after, contents(t, other)) {
		t.Error("the step that was not skipped is another than without those before it")
	}
}

// What no scale can help is an error: a gradient that overflows at the smallest one, and a
// loss that is no number. The state is as it was.
func TestLossScaleIsNoCureForAll(t *testing.T) {
	set := func(x *tensor.Tensor, v float32) {
		values := make([]float32, x.Numel())
		for i := range values {
			values[i] = v * float32(1+i%3)
		}
		x.SetFloat32s(values)
	}
	for name, c := range map[string]struct {
		spoil func(tr tiny)
		scale float64
		want  string
	}{
		"at the smallest scale": {func(tr tiny) {
			set(tr.Model.Embedding.Weight.Value, 1e-4) // the norms then multiply gradients by 300
			set(tr.Model.Norm.Weight.Value, 3e3)
			set(tr.Model.Head.Weight.Value, 3e3)
		}, 1, "(at loss scale 1): training has diverged"},
		"loss": {func(tr tiny) { set(tr.Model.Norm.Weight.Value, 6e4) }, 1024, "the loss is NaN"},
	} {
		tr := newTinyAs(t, tensor.F16, 2, 0)
		offStart(tr)
		c.spoil(tr)
		tr.LossScale = &LossScale{Scale: c.scale, Good: 3}
		before := contents(t, tr)
		r, err := tr.Step(data.Batches(tinymodel.Rows(8, 2), 8))
		bad, ok := errors.AsType[*NonFiniteError](err)
		if !ok || !strings.Contains(err.Error(), c.want) || bad.Kernel == "" || r.Skipped {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if *tr.LossScale != (LossScale{c.scale, 3, 0}) || !slices.Equal(contents(t, tr), before) {
			t.Errorf("%s: the failed step has changed something: %+v", name, *tr.LossScale)
		}
	}
}
