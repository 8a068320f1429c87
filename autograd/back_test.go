package autograd_test

import (
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// sum2 is a + b with a Backward of the test's own.
type sum2 struct{ backward func(b *autograd.Backward) }

func (sum2) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.Like(f.In[0])
	f.Run(kernels.Add{N: y.Numel(), M: y.Numel()}, y, f.In[0], f.In[1])
	return []*tensor.Tensor{y}, nil
}

func (s sum2) Backward(b *autograd.Backward) { s.backward(b) }

func (sum2) Examples() []autograd.Example { return nil }

// What other uses gave a gradient before is added by the kernel that asks for it, once, and by nobody else.
func TestGradPlusHasWhatOtherUsesGave(t *testing.T) {
	d := testdevice.CPU(t, 2)
	var given []*tensor.Tensor
	adds := sum2{func(b *autograd.Backward) {
		for i := range b.In {
			for range 2 {
				g, plus := b.GradPlus(i)
				given = append(given, plus)
				b.Run(kernels.Scale{N: 2, Alpha: 10}, g, b.DOut[0])
				if plus != nil {
					b.Run(kernels.Add{N: 2, M: 2}, g, g, plus)
				}
			}
		}
	}}
	tape := autograd.NewTape(d)
	defer tape.Close()
	x, other := tape.Leaf(vector(d, 1, 2)), tape.Leaf(vector(d, 3, 4))
	y := autograd.Apply(adds, x, other)[0] // what comes behind it is walked before
	tape.Backward(ops.Sum(ops.Add(ops.Add(x, x), y)))
	if g := floats(t, tape.Grad(x)); g[0] != 12 || g[1] != 12 {
		t.Errorf("gradient %v, want 1 + 1 + 10", g)
	}
	if g := floats(t, tape.Grad(other)); g[0] != 10 || g[1] != 10 {
		t.Errorf("gradient %v, want 10", g)
	}
	if len(given) != 4 || given[0] == nil || given[1] != given[0] || given[2] != nil || given[3] != nil {
		t.Errorf("given %v, want the sum of two for x, twice the same, and nothing for the other", given)
	}
	if given[0] != nil && given[0].Alive() {
		t.Error("what has been added is kept")
	}
}

// Of one variable that is an input twice, the second gradient is added to the first.
func TestGradPlusOfAnInputTwice(t *testing.T) {
	d := testdevice.CPU(t, 2)
	adds := sum2{func(b *autograd.Backward) {
		for _, i := range []int{1, 0} {
			g, plus := b.GradPlus(i)
			b.Run(kernels.Scale{N: 2, Alpha: 10}, g, b.DOut[0])
			if plus != nil {
				b.Run(kernels.Add{N: 2, M: 2}, g, g, plus)
			}
		}
	}}
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(vector(d, 1, 2))
	tape.Backward(ops.Sum(ops.Add(x, autograd.Apply(adds, x, x)[0])))
	if g := floats(t, tape.Grad(x)); g[0] != 21 || g[1] != 21 {
		t.Errorf("gradient %v, want 1 + 10 + 10", g)
	}
}

// An operation whose Backward forgets an input must not pass for one whose gradient is 0.
func TestBackwardMustGiveEveryGradient(t *testing.T) {
	d := testdevice.CPU(t, 2)
	forgets := sum2{func(b *autograd.Backward) { b.SetGrad(0, b.DOut[0]) }}
	tape := autograd.NewTape(d)
	a, b := tape.Leaf(vector(d, 1, 2)), tape.Leaf(vector(d, 3, 4))
	y := ops.Sum(autograd.Apply(forgets, a, b)[0])
	mustPanic(t, "sum2: Backward gives no gradient of input 1, f32[2]", func() { tape.Backward(y) })
	tape.Close()

	// A constant has none to give.
	tape = autograd.NewTape(d)
	defer tape.Close()
	a = tape.Leaf(vector(d, 1, 2))
	tape.Backward(ops.Sum(autograd.Apply(forgets, a, autograd.Const(vector(d, 3, 4)))[0]))
	if g := floats(t, tape.Grad(a)); g[0] != 1 || g[1] != 1 {
		t.Errorf("gradient %v, want ones", g)
	}
}

func TestSetGradChecksItsShape(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	wrong := sum2{func(b *autograd.Backward) { b.SetGrad(0, b.DOut[0].Reshape(2, 1)) }}
	y := ops.Sum(autograd.Apply(wrong, tape.Leaf(vector(d, 1, 2)), tape.Leaf(vector(d, 3, 4)))[0])
	mustPanic(t, "sum2: gradient 0 is f32[2 1], the input f32[2]", func() { tape.Backward(y) })
}

func TestNobodyWritesToAGivenGradient(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	writes := sum2{func(b *autograd.Backward) {
		b.SetGrad(0, b.DOut[0])
		b.Run(kernels.Fill{N: 2}, b.Grad(0))
	}}
	y := ops.Sum(autograd.Apply(writes, tape.Leaf(vector(d, 1, 2)), tape.Leaf(vector(d, 3, 4)))[0])
	mustPanic(t, "nobody may write to it", func() { tape.Backward(y) })
}

// Asked again, WeightGrad gives the same memory to be added to; a parameter's own from the
// first time on.
func TestWeightGradAddsFromTheSecondTimeOn(t *testing.T) {
	d := testdevice.CPU(t, 2)
	p := autograd.NewParam(vector(d, 3, 4))
	p.Grad = vector(d, 100, 200)
	var acc []bool
	twice := sum2{func(b *autograd.Backward) {
		for i := range b.In {
			for range 2 {
				g, add := b.WeightGrad(i)
				acc = append(acc, add)
				b.Run(kernels.Sum{Outer: 1, N: 1, Inner: 2, Scale: 1, Acc: add}, g, b.DOut[0])
			}
		}
	}}
	tape := autograd.NewTape(d)
	defer tape.Close()
	a := tape.Leaf(vector(d, 1, 2))
	tape.Backward(ops.Sum(autograd.Apply(twice, a, p.Var())[0]))
	if want := []bool{false, true, true, true}; len(acc) != 4 || acc[0] != want[0] || acc[1] != want[1] ||
		acc[2] != want[2] || acc[3] != want[3] {
		t.Errorf("acc was %v, want %v", acc, want)
	}
	if g := floats(t, tape.Grad(a)); g[0] != 2 || g[1] != 2 {
		t.Errorf("gradient of the leaf %v, want 2 and 2", g)
	}
	if g := floats(t, p.Grad); g[0] != 102 || g[1] != 202 {
		t.Errorf("gradient of the parameter %v, want 102 and 202", g)
	}
}
