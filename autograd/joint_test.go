package autograd_test

import (
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// later is a Joint that adds the gradients of calls, and then their sum to the parameter's.
type later struct {
	into, sum *tensor.Tensor
	calls     int
	finished  int
}

func (l *later) Finish() {
	l.finished++
	n := l.sum.Numel()
	l.into.Device().Run(kernels.Add{N: n, M: n}, l.into, l.into, l.sum)
}

// What calls leave to a Joint, those inside of a checkpoint among them, is finished once on each tape, behind all of them.
func TestJoint(t *testing.T) {
	d := testdevice.CPU(t, 2)
	p := autograd.NewParam(vector(d, 3, 4))
	p.Grad = vector(d, 100, 200)
	var began []*later
	leaves := sum2{func(b *autograd.Backward) {
		j := b.Joint("sums", func() autograd.Joint {
			l := &later{into: p.Grad, sum: b.Lasting(tensor.F32, 2)}
			d.Run(kernels.Fill{N: 2}, l.sum)
			began = append(began, l)
			return l
		}).(*later)
		if j.finished > 0 {
			t.Error("a call after the end")
		}
		j.calls++
		d.Run(kernels.Add{N: 2, M: 2}, j.sum, j.sum, b.DOut[0])
		b.SetGrad(0, b.DOut[0])
		b.Leave(1)
	}}
	call := func(x *autograd.Var) *autograd.Var { return autograd.Apply(leaves, x, p.Var())[0] }
	for step := range 2 {
		tape := autograd.NewTape(d)
		x := tape.Leaf(vector(d, 1, 2))
		inside := func(x *autograd.Var) *autograd.Var { return autograd.Checkpoint(call, call(x)) }
		tape.Backward(ops.Sum(call(autograd.Checkpoint(inside, call(x)))))
		if g := floats(t, tape.Grad(x)); g[0] != 1 || g[1] != 1 {
			t.Errorf("gradient %v of x, want ones", g)
		}
		tape.Close()
		if n := len(began); n != step+1 || began[step].calls != 4 || began[step].finished != 1 {
			t.Fatalf("%d begun, the last %+v: want one a step, of four calls, finished once", n, began[n-1])
		}
		if g, more := floats(t, p.Grad), float32(4*(step+1)); g[0] != 100+more || g[1] != 200+more {
			t.Errorf("gradient %v of the parameter after step %d", g, step)
		}
	}
}

// Only the gradient of a parameter lies where others can add to it.
func TestLeaveWantsAParameter(t *testing.T) {
	d := testdevice.CPU(t, 2)
	tape := autograd.NewTape(d)
	defer tape.Close()
	leaves := sum2{func(b *autograd.Backward) { b.Leave(0) }}
	y := ops.Sum(autograd.Apply(leaves, tape.Leaf(vector(d, 1, 2)), tape.Leaf(vector(d, 3, 4)))[0])
	mustPanic(t, "sum2: gradient 0 cannot be left to others", func() { tape.Backward(y) })
}
