package nn

import (
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
)

// Whoever adds a residual as a result is made gives the sum of both, and its gradient to both.
func TestForwardPlusIsTheSum(t *testing.T) {
	d := testdevice.CPU(t, 2)
	weights := NewInitializer(d, 5)
	attention, mlp := NewAttention(weights, 12, 2, 1, 6), NewSwiGLU(weights, 12, 20)
	x, plus := weights.Normal(1, 2, 3, 12), weights.Normal(1, 2, 3, 12)
	for name, f := range map[string]struct{ apart, joined func(plus, x *Var) *Var }{
		"linear":           adder(NewLinear(weights, 12, 12, false)),
		"linear with bias": adder(NewLinear(weights, 12, 12, true)),
		"a layer that adds nothing": {
			func(plus, x *Var) *Var { return ops.Add(plus, ops.SiLU(x)) },
			func(plus, x *Var) *Var { return forwardPlus(plus, Func(ops.SiLU), x) },
		},
		"SwiGLU": adder(mlp),
		"attention": {
			func(plus, x *Var) *Var { return ops.Add(plus, attention.Forward(x, Context{})) },
			func(plus, x *Var) *Var { return attention.ForwardPlus(plus, x, Context{}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			results := func(f func(plus, x *Var) *Var) (all [][]float32) {
				tape := autograd.NewTape(d)
				defer tape.Close()
				px, pp := tape.Leaf(x.Value), tape.Leaf(plus.Value)
				y := f(pp, px)
				sum := read(t, y.Tensor())
				tape.Backward(ops.Sum(ops.Mul(y, y)))
				return [][]float32{sum, read(t, tape.Grad(px)), read(t, tape.Grad(pp))}
			}
			want := results(f.apart)
			for i, got := range results(f.joined) {
				near(t, []string{"the result", "the gradient of x", "that of what is added"}[i],
					d.FromFloat32s(x.Value.DType(), got, len(got)), want[i]...)
			}
		})
	}
}

func adder(l Adder) struct{ apart, joined func(plus, x *Var) *Var } {
	return struct{ apart, joined func(plus, x *Var) *Var }{
		func(plus, x *Var) *Var { return ops.Add(plus, l.Forward(x)) }, l.ForwardPlus,
	}
}
