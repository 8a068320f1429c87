package autograd_test

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// prompt is the sum of two vectors that leaves 10 as the gradient of the second in Forward, where it may, and 1000 in
// Backward where that is lost.
type prompt struct{ early *[]bool }

func (prompt) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	if g := f.EarlyGrad(1, tensor.F32); g != nil {
		f.Run(kernels.Fill{N: 2, Value: 10}, g)
	}
	return sum2{}.Forward(f)
}

func (p prompt) Backward(b *autograd.Backward) {
	b.SetGrad(0, b.DOut[0])
	g := b.EarlyGrad(1)
	if *p.early = append(*p.early, g != nil); g == nil {
		again := b.New(tensor.F32, 2)
		b.Run(kernels.Fill{N: 2, Value: 1000}, again)
		b.SetGrad(1, again)
	}
}

func (prompt) Examples() []autograd.Example { return nil }

// A gradient that Forward has written counts once, and only if nothing was written over it before Backward.
func TestEarlyGrad(t *testing.T) {
	d := testdevice.CPU(t, 2)
	nan := float32(math.NaN())
	five := vector(d, 5, 5)
	for _, c := range []struct {
		name     string
		remember bool // that there is a gradient, of 5
		calls    int
		between  func(p *autograd.Param)
		early    []bool
		want     float32
	}{
		{name: "forgotten", calls: 1, early: []bool{true}, want: 10},
		{name: "not forgotten", remember: true, calls: 1, early: []bool{false}, want: 1005},
		{name: "settled before Backward", calls: 1, between: (*autograd.Param).SettleGrad, early: []bool{false}, want: 1000},
		{name: "forgotten again", calls: 1, between: (*autograd.Param).ForgetGrad, early: []bool{true}, want: 10},
		{name: "zeros written by hand", calls: 1, between: func(p *autograd.Param) { p.Grad.SetFloat32s([]float32{0, 0}) },
			early: []bool{false}, want: 1000},
		{name: "another gradient", calls: 1, between: func(p *autograd.Param) { p.Grad = five },
			early: []bool{false}, want: 1005},
		{name: "two calls", calls: 2, early: []bool{true, false}, want: 1010},
	} {
		for _, checkpoint := range []bool{false, true} {
			if checkpoint && (c.between != nil || c.calls > 1) {
				continue // no Forward is between
			}
			p := autograd.NewParam(vector(d, 1, 2))
			if p.Grad = vector(d, 5, 5); !c.remember {
				p.Grad = vector(d, nan, nan)
				p.ForgetGrad()
			}
			var early []bool
			f := func(x *autograd.Var) *autograd.Var {
				for range c.calls {
					x = autograd.Apply(prompt{&early}, x, p.Var())[0]
				}
				return x
			}
			tape := autograd.NewTape(d)
			x := tape.Leaf(vector(d, 3, 4))
			var y *autograd.Var
			if checkpoint {
				y = autograd.Checkpoint(f, x)
			} else {
				y = f(x)
			}
			if c.between != nil {
				c.between(p)
			}
			tape.Backward(ops.Sum(y))
			tape.Close()
			if got := floats(t, p.Grad); !slices.Equal(got, []float32{c.want, c.want}) || !slices.Equal(early, c.early) {
				t.Errorf("%s, checkpoint %t: gradient %v, there early %v: want %g, %v", c.name, checkpoint, got, early, c.want,
					c.early)
			}
		}
	}
}
