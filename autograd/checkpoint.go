package autograd

import (
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// Checkpoint is f(x) that forgets everything computed inside and computes it again
// on the way back: memory for one segment at a time, for one more forward pass
// (Chen et al., "Training deep nets with sublinear memory cost", 1604.06174). Of that
// pass the end is left out of which no Backward reads anything (Selective). f may
// use parameters, constants and its argument; any other variable of the tape panics.
// Random operations inside draw the same numbers both times. Segments nest.
func Checkpoint(f func(*Var) *Var, x *Var) *Var {
	if f == nil {
		tensor.Panicf("checkpoint", "want a function, got nil")
	}
	rec := recording(x.must("checkpoint").t.Device())
	if rec.tape == nil {
		return Segment(f, x)
	}
	return Apply(&checkpoint{f: f, tape: rec.tape}, x)[0]
}

// Segment is f(x) that forgets everything computed inside but the result and, under a tape,
// what some Backward reads and is not made again for it (Cheap): inference then holds one segment at a time. f must not keep a
// tensor that it makes.
func Segment(f func(*Var) *Var, x *Var) *Var {
	if f == nil {
		tensor.Panicf("segment", "want a function, got nil")
	}
	d := x.must("segment").t.Device()
	rec := recording(d)
	scope := d.Scope()
	defer scope.Close()
	before := rec.recorded()
	y := f(x)
	for _, c := range rec.recorded()[len(before):] {
		for _, x := range c.read {
			if rec.tape.makers[x] == nil || x == y.t {
				scope.Keep(x)
			}
		}
	}
	if y.t.Alive() {
		scope.Keep(y.t)
	}
	return y
}

type checkpoint struct {
	f        func(*Var) *Var
	tape     *Tape
	randomOp uint32

	// Of the first run:
	around *tensor.Scope          // the scope that it was made in
	uses   []*tensor.Tensor       // constants of the tape that f uses: they stay until it has run again
	calls  []*call                // those that the second run will record
	madeBy map[*tensor.Tensor]int // which of them made a tensor
	needed int                    // how many of them Backward needs again; nothing reads what the others make
}

// A segment is recorded even where its argument needs no gradient: the parameters
// inside may.
func alwaysRecorded(op Op) bool {
	_, ok := op.(*checkpoint)
	return ok
}

func (c *checkpoint) Forward(f *Forward) (out, saved []*tensor.Tensor) {
	c.randomOp, c.around = c.tape.randomOp, f.CurrentScope()
	c.madeBy = map[*tensor.Tensor]int{}
	scope := f.Scope()
	scope.Tag = recorder{tape: c.tape, segment: c}
	x := Const(f.In[0])
	x.passes = f.passes[0]
	y := c.f(x)
	scope.Keep(y.t)
	scope.Close()
	return []*tensor.Tensor{y.t}, c.uses
}

// use notes tensors that the segment's first run has met.
func (c *checkpoint) use(in []*tensor.Tensor) {
	for _, x := range in {
		if x != nil && c.outside(x) && !slices.Contains(c.uses, x) {
			c.uses = append(c.uses, x)
		}
	}
}

// outside reports whether the tape would free a tensor that was made outside the segment.
func (c *checkpoint) outside(x *tensor.Tensor) bool {
	for s := c.around; s != nil; s = s.Parent() {
		if s.Owns(x) || s == c.tape.scope {
			return s.Owns(x)
		}
	}
	return false
}

// note adds a call of the first run.
func (c *checkpoint) note(x *call) {
	for _, v := range x.out {
		c.madeBy[v.t] = len(c.calls)
		if v.t.DType() == tensor.I32 { // whoever has it may look at it
			c.needed = len(c.calls) + 1
		}
	}
	read, _, saved := x.reads()
	for _, t := range read {
		if i, ok := c.madeBy[t]; ok {
			c.needed = max(c.needed, i+1)
		}
	}
	if c.calls = append(c.calls, x); saved {
		c.needed = len(c.calls)
	}
}

// secondRun is how far a checkpointed segment has run again.
type secondRun struct {
	*checkpoint
	at int // calls made
}

// unneeded returns the call of the first run that a call repeats, if nobody reads what it makes; else nil. What the
// first run has made of it is freed, but has shapes and types, and its operation has drawn its random numbers.
func (r *secondRun) unneeded(op Op) *call {
	if r.at == len(r.calls) || OpName(r.calls[r.at].op) != OpName(op) {
		r.isAnother(OpName(op))
	}
	r.at++
	if r.at <= r.needed {
		return nil
	}
	return r.calls[r.at-1]
}

func (r *secondRun) isAnother(call string) {
	tensor.Panicf("checkpoint", "the function makes other calls when it is called again: call %d of %d is %s", r.at,
		len(r.calls), call)
}

func (c *checkpoint) Backward(b *Backward) {
	inner := NewTape(b.Device)
	inner.Seed, inner.Step, inner.randomOp = c.tape.Seed, c.tape.Step, c.randomOp
	inner.second = &secondRun{checkpoint: c}
	x := Const(b.In[0])
	if b.Needs[0] {
		x = inner.Leaf(b.In[0])
	}
	y := Segment(c.f, x)
	if again := inner.second; again.at < len(c.calls) {
		again.isAnother("missing")
	}
	inner.walkAll([]*Var{y}, b.DOut, false)
	dx := inner.Grad(x)
	if dx != nil {
		inner.scope.Keep(dx)
	}
	inner.Close()
	b.SetGrad(0, dx)
}

// BackwardReads implements Selective.
func (c *checkpoint) BackwardReads([]bool) Reads { return Reads{In: []bool{true}, Saved: true} }

// Examples is empty: optest checks Checkpoint with a model.
func (c *checkpoint) Examples() []Example { return nil }
