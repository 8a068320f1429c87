package autograd_test

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// A gradient that is forgotten is written over by the first call that has one for it, however it comes, and added to by the
// next.
func TestForgetGrad(t *testing.T) {
	d := testdevice.CPU(t, 2)
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4}, 2, 2))
	weight := autograd.NewParam(d.FromFloat32s(tensor.F32, []float32{5, 6}, 1, 2))
	given := autograd.NewParam(vector(d, 7, 8))
	left := autograd.NewParam(vector(d, 9, 10))
	idle := autograd.NewParam(vector(d, 11, 12))
	nan := float32(math.NaN())
	for _, p := range []*autograd.Param{weight, given, left, idle} {
		p.Grad = d.FromFloat32s(tensor.F32, []float32{nan, nan}, p.Value.Shape()...)
		p.ForgetGrad()
	}
	sets := sum2{func(b *autograd.Backward) {
		b.SetGrad(0, b.DOut[0])
		b.SetGrad(1, b.DOut[0])
	}}
	leaves := sum2{func(b *autograd.Backward) {
		b.SetGrad(0, b.DOut[0])
		b.Leave(1)
		d.Run(kernels.Add{N: 2, M: 2}, left.Grad, left.Grad, b.DOut[0])
	}}
	for step := range 2 {
		tape := autograd.NewTape(d)
		y := ops.Reshape(ops.Linear(x, weight.Var(), nil), 2)
		y = autograd.Apply(sets, y, given.Var())[0]
		tape.Backward(ops.Sum(autograd.Apply(leaves, y, left.Var())[0]))
		tape.Close()
		n := float32(step + 1)
		for _, c := range []struct {
			p    *autograd.Param
			want [2]float32
		}{{weight, [2]float32{4 * n, 6 * n}}, {given, [2]float32{n, n}}, {left, [2]float32{n, n}}} {
			if c.p.SettleGrad(); [2]float32(floats(t, c.p.Grad)) != c.want {
				t.Errorf("step %d: gradient %v, want %v", step, floats(t, c.p.Grad), c.want)
			}
		}
	}
	if idle.SettleGrad(); [2]float32(floats(t, idle.Grad)) != [2]float32{} {
		t.Errorf("gradient %v of a parameter that nothing reached, want zeros", floats(t, idle.Grad))
	}
	idle.Grad.SetFloat32s([]float32{1, 2})
	if idle.SettleGrad(); [2]float32(floats(t, idle.Grad)) != [2]float32{1, 2} {
		t.Errorf("gradient %v, settled twice: want what was written since", floats(t, idle.Grad))
	}
}

// What is forgotten is a tensor, not the parameter's place for one: another tensor there is added to, and none trains no more.
func TestForgetGradOfATensor(t *testing.T) {
	d := testdevice.CPU(t, 2)
	p := autograd.NewParam(vector(d, 1))
	p.Grad = vector(d, 2)
	p.ForgetGrad()
	p.Grad = nil
	p.SettleGrad()
	p.Grad = vector(d, 5)
	tape := autograd.NewTape(d)
	defer tape.Close()
	tape.Backward(ops.Sum(p.Var()))
	if got := floats(t, p.Grad)[0]; got != 6 {
		t.Errorf("gradient %g, want 1 added to 5", got)
	}
}
