package autograd

import (
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// Checkpoint is f(x) that forgets everything computed inside and computes it again
// on the way back: memory for one segment at a time, for one more forward pass
// (Chen et al., "Training deep nets with sublinear memory cost", 1604.06174). f may
// use parameters, constants and its argument; any other variable of the tape panics.
// Random operations inside draw the same numbers both times.
func Checkpoint(f func(*Var) *Var, x *Var) *Var {
	if f == nil {
		tensor.Panicf("checkpoint", "want a function, got nil")
	}
	rec := recording(x.must("checkpoint").t.Device())
	if !rec.on {
		return Segment(f, x)
	}
	return Apply(&checkpoint{f: f, tape: rec.tape}, x)[0]
}

// Segment is f(x) that forgets, where no tape records, everything computed inside but
// the result: inference then holds one segment at a time. f must not keep a tensor that
// it makes. Under a tape it is just f(x).
func Segment(f func(*Var) *Var, x *Var) *Var {
	if f == nil {
		tensor.Panicf("segment", "want a function, got nil")
	}
	d := x.must("segment").t.Device()
	if recording(d).on {
		return f(x)
	}
	scope := d.Scope()
	defer scope.Close()
	y := f(x)
	scope.Keep(y.t)
	return y
}

type checkpoint struct {
	f        func(*Var) *Var
	tape     *Tape
	randomOp uint32
	uses     []*tensor.Tensor // constants on the tape that f uses: they stay until it has run again
}

// A segment is recorded even where its argument needs no gradient: the parameters
// inside may.
func alwaysRecorded(op Op) bool {
	_, ok := op.(*checkpoint)
	return ok
}

func (c *checkpoint) Forward(f *Forward) (out, saved []*tensor.Tensor) {
	c.randomOp = c.tape.randomOp
	scope := f.Scope()
	scope.Tag = recorder{tape: c.tape, segment: c}
	y := c.f(Const(f.In[0]))
	scope.Keep(y.t)
	scope.Close()
	return []*tensor.Tensor{y.t}, c.uses
}

// use notes what the segment's first run has met.
func (c *checkpoint) use(in []*tensor.Tensor) {
	for _, x := range in {
		if x != nil && c.tape.scope.Owns(x) && !slices.Contains(c.uses, x) {
			c.uses = append(c.uses, x)
		}
	}
}

func (c *checkpoint) Backward(b *Backward) {
	inner := NewTape(b.Device)
	inner.Seed, inner.Step, inner.randomOp = c.tape.Seed, c.tape.Step, c.randomOp
	x := Const(b.In[0])
	if b.Needs[0] {
		x = inner.Leaf(b.In[0])
	}
	inner.BackwardFrom([]*Var{c.f(x)}, b.DOut)
	dx := inner.Grad(x)
	if dx != nil {
		inner.scope.Keep(dx)
	}
	inner.Close()
	b.SetGrad(0, dx)
}

// Examples is empty: optest checks Checkpoint with a model.
func (c *checkpoint) Examples() []Example { return nil }
