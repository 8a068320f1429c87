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
	var beside *tensor.Tensor // another gradient in the same block
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
		{name: "a gradient beside it is written", calls: 1, between: func(*autograd.Param) {
			d.Run(kernels.Fill{N: 2, Value: 7}, beside)
		}, early: []bool{false}, want: 1000},
		{name: "another gradient", calls: 1, between: func(p *autograd.Param) { p.Grad = five },
			early: []bool{false}, want: 1005},
		{name: "two calls", calls: 2, early: []bool{true, false}, want: 1010},
	} {
		for _, checkpoint := range []bool{false, true} {
			if checkpoint && (c.between != nil || c.calls > 1) {
				continue // no Forward is between
			}
			p, block := autograd.NewParam(vector(d, 1, 2)), vector(d, 5, 5, 5, 5)
			if p.Grad = block.View(0, 2); !c.remember {
				p.Grad.SetFloat32s([]float32{nan, nan})
				p.ForgetGrad()
			}
			beside = block.View(2, 2)
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

// twoPrompts is a sum of three vectors, of which it leaves the gradients of the last two, 10 and 20, in Forward where it may.
type twoPrompts struct{ sum2 }

func (twoPrompts) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	saved = make([]*tensor.Tensor, 3)
	for i := 1; i < 3; i++ {
		g := f.EarlyGrad(i, tensor.F32)
		if g == nil {
			g = f.New(tensor.F32, 2)
			saved[i] = g
		}
		f.Run(kernels.Fill{N: 2, Value: 10 * float32(i)}, g)
	}
	out, _ = sum2{}.Forward(f)
	return out, saved
}

func (twoPrompts) Backward(b *autograd.Backward) {
	b.SetGrad(0, b.DOut[0])
	for i := 1; i < 3; i++ {
		if b.Saved[i] != nil {
			b.SetGrad(i, b.Saved[i])
		} else if b.EarlyGrad(i) == nil {
			tensor.Panicf("two_prompts", "the gradient of input %d is lost", i)
		}
	}
}

// A parameter that is two inputs of one call has one place for a gradient: Forward leaves one there, Backward adds the other.
func TestEarlyGradOfAParameterTwice(t *testing.T) {
	d := testdevice.CPU(t, 2)
	p := autograd.NewParam(vector(d, 1, 2))
	p.Grad = vector(d, 5, 5)
	p.ForgetGrad()
	tape := autograd.NewTape(d)
	defer tape.Close()
	tape.Backward(ops.Sum(autograd.Apply(twoPrompts{}, tape.Leaf(vector(d, 3, 4)), p.Var(), p.Var())[0]))
	if got := floats(t, p.Grad); !slices.Equal(got, []float32{30, 30}) {
		t.Errorf("gradient %v, want 10 + 20", got)
	}
}
