package autograd

import (
	"slices"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Tape records what is computed on its device until Close, gives the gradients,
// and owns the tensors made meanwhile.
type Tape struct {
	// Seed and Step choose the random numbers of this tape's operations (dropout).
	Seed uint64
	Step uint32

	dev      *tensor.Device
	scope    *tensor.Scope
	calls    []*call
	randomOp uint32 // the next random call's counter

	grads map[*Var]*tensor.Tensor
	uses  map[any]int // by memory: how often calls still to be walked read it, and gradients that are it
	done  bool        // Backward has run

	joints  map[any]Joint // by key
	inOrder []Joint       // as they began

	second *secondRun // of which checkpointed segment this tape records the second run; nil: of none

	makers map[*tensor.Tensor]*call          // of what Cheap operations have made, which may be forgotten
	again  map[*tensor.Tensor]*tensor.Tensor // what was made again in place of such

	closed bool
}

type call struct {
	op     Op
	in     []*Var
	needs  []bool
	out    []*Var
	saved  []*tensor.Tensor
	read   []*tensor.Tensor // by Backward
	inputs int              // how many of those, the first ones, it reads as inputs
	early  []early
}

// recorder is the Tag of a scope that decides whether operations are recorded.
type recorder struct {
	tape    *Tape
	on      bool        // false in the first run of a checkpointed segment
	segment *checkpoint // which is this one
}

// recording finds the innermost recorder of the device.
func recording(d *tensor.Device) recorder {
	for s := d.CurrentScope(); s != nil; s = s.Parent() {
		if r, ok := s.Tag.(recorder); ok {
			return r
		}
	}
	return recorder{}
}

// recorded are the calls so far.
func (r recorder) recorded() []*call {
	if !r.on {
		return nil
	}
	return r.tape.calls
}

// unneeded is that of a segment that runs again, for a call that is recorded.
func (r recorder) unneeded(op Op, differentiable bool) *call {
	if !r.on || !differentiable || r.tape.second == nil {
		return nil
	}
	return r.tape.second.unneeded(op)
}

// NewTape opens a tape on the device.
func NewTape(d *tensor.Device) *Tape {
	t := &Tape{dev: d, scope: d.Scope()}
	t.scope.Tag = recorder{tape: t, on: true}
	return t
}

// record has the walk back pass a call.
func (t *Tape) record(c *call) {
	c.read, c.inputs, _ = c.reads()
	t.noteCheap(c)
	t.calls = append(t.calls, c)
}

// Leaf is a variable whose gradient Grad will give.
func (t *Tape) Leaf(x *tensor.Tensor) *Var {
	if t.must("leaf"); x.Device() != t.dev {
		tensor.Panicf("leaf", "%s lives on another device than the tape", x)
	}
	return &Var{t: x, tape: t, made: "leaf"}
}

// must is the tape, if there is one that is open.
func (t *Tape) must(op string) *Tape {
	switch {
	case t == nil || t.dev == nil:
		tensor.Panicf(op, "want a tape that NewTape has opened, got none")
	case t.closed:
		tensor.Panicf(op, "the tape has been closed")
	}
	return t
}

// Keep lets the values outlive the tape (and Backward): they move to the scope
// around it, or to the garbage collector.
func (t *Tape) Keep(vs ...*Var) {
	t.must("keep")
	for _, v := range vs {
		t.scope.Keep(v.must("keep").t)
	}
}

// Close frees everything the tape owns. It may be called twice.
func (t *Tape) Close() {
	if t != nil && t.closed {
		return
	}
	t.must("close").closed = true
	t.scope.Close()
}

// Backward computes the gradients of a loss of one element: parameters' are added
// to their Grad, leaves' are given by Grad. It runs once per tape. On its way it
// frees values that were computed on the tape: Keep those needed later; the loss
// itself stays until Close.
func (t *Tape) Backward(loss *Var) { t.BackwardScaled(loss, 1) }

// BackwardScaled is Backward with all gradients times scale: a power of two keeps those
// of f16 activations from becoming 0.
func (t *Tape) BackwardScaled(loss *Var, scale float32) {
	t.must("backward")
	if loss.must("backward").t.Numel() != 1 {
		tensor.Panicf("backward", "the loss is %s, want one element", loss.t)
	}
	if loss.tape != t {
		tensor.Panicf("backward", "the loss, %s, does not depend on anything that trains on this tape", loss)
	}
	grad := t.dev.Like(loss.t)
	t.dev.Run(kernels.Fill{N: 1, Value: scale}, grad)
	t.BackwardFrom([]*Var{loss}, []*tensor.Tensor{grad})
}

// BackwardFrom is Backward from several outputs with given gradients. Unlike a loss, some of
// them may depend on nothing that trains. The outputs stay until Close.
func (t *Tape) BackwardFrom(outs []*Var, grads []*tensor.Tensor) {
	t.must("backward")
	if len(outs) != len(grads) {
		tensor.Panicf("backward", "%d gradients for %d outputs", len(grads), len(outs))
	}
	for i, v := range outs {
		switch g := grads[i]; {
		case v.must("backward").tape != t && v.tape != nil: // what depends on nothing that trains passes nothing on
			tensor.Panicf("backward", "output %d, %s, belongs to another tape", i, v)
		case g == nil || !g.SameShape(v.t):
			tensor.Panicf("backward", "gradient %d is %s, output %s", i, g, v)
		}
	}
	if t.done {
		tensor.Panicf("backward", "this tape has been walked already")
	}
	t.walkAll(outs, grads, true)
}

// walkAll is BackwardFrom without its checks; the outputs may be freed on the way unless they stay.
func (t *Tape) walkAll(outs []*Var, grads []*tensor.Tensor, stay bool) {
	t.done = true
	t.grads = map[*Var]*tensor.Tensor{}
	t.uses = map[any]int{}
	for _, c := range t.calls {
		for _, x := range c.read {
			t.use(x)
		}
	}
	for i, v := range outs {
		if stay {
			t.use(v.t)
		}
		t.addGrad(v, grads[i])
	}
	for _, c := range t.calls {
		c.eachTensor(t.freeUnused)
	}
	for i := len(t.calls) - 1; i >= 0; i-- {
		t.walk(t.calls[i])
		t.calls[i] = nil
	}
	t.calls = nil
	t.finish()
}

// Grad is the gradient of a leaf after Backward, or nil if the loss does not depend
// on it. It lives as long as the tape.
func (t *Tape) Grad(leaf *Var) *tensor.Tensor {
	t.must("grad")
	return t.grads[leaf.must("grad")]
}

func (t *Tape) walk(c *call) {
	if dOut, any := t.outputGrads(c); any {
		b := &Backward{Device: t.dev, Saved: c.saved, DOut: dOut, Needs: c.needs, op: c.op, tape: t,
			call: c, grads: make([]gradient, len(c.in))}
		for i, v := range c.in {
			var x *tensor.Tensor
			if v != nil {
				x = v.t
				if slices.Contains(c.read, x) {
					x = t.value(x)
				}
				if v.param != nil && c.needs[i] {
					b.grads[i].param, b.grads[i].into = v.param, v.param.Grad
				}
			}
			b.In = append(b.In, x)
		}
		for _, v := range c.out {
			b.Out = append(b.Out, v.t)
		}
		for i, g := range t.backward(c.op, b) {
			if g != nil {
				t.addGrad(c.in[i], g)
			}
			if plus := b.grads[i].plus; plus != nil {
				t.drop(plus)
			}
		}
	}
	for _, v := range c.out {
		if g := t.grads[v]; g != nil {
			delete(t.grads, v)
			t.drop(g)
		}
	}
	for _, x := range c.read {
		t.drop(x)
	}
	for _, v := range c.out {
		delete(t.makers, v.t)
	}
}

// readsLast reports whether nobody but the call reads the memory of its input i any more, nor has it for longer than
// the tape.
func (t *Tape) readsLast(c *call, i int) bool {
	v := c.in[i]
	return v != nil && v.param == nil && slices.Contains(c.read, v.t) && t.uses[v.t.Memory()] == 1 && t.scope.Owns(v.t)
}

// backward runs Backward in a scope of its own, which only the gradients outlive.
func (t *Tape) backward(op Op, b *Backward) []*tensor.Tensor {
	scope := t.dev.Scope()
	defer scope.Close()
	op.Backward(b)
	grads := b.collect()
	for _, g := range grads {
		if g != nil {
			scope.Keep(g)
		}
	}
	return grads
}

// outputGrads collects the gradients of a call's outputs; any is false if none has
// one. A float output without a gradient gets zeros.
func (t *Tape) outputGrads(c *call) (dOut []*tensor.Tensor, any bool) {
	for _, v := range c.out {
		g := t.grads[v]
		any = any || g != nil
		dOut = append(dOut, g)
	}
	for i, v := range c.out {
		if any && dOut[i] == nil && v.t.DType() != tensor.I32 {
			dOut[i] = t.dev.Like(v.t)
			t.dev.Run(kernels.Fill{N: v.t.Numel()}, dOut[i])
		}
	}
	return dOut, any
}

// addGrad adds g to the gradient of v. Gradients are values: a sum is a new tensor.
func (t *Tape) addGrad(v *Var, g *tensor.Tensor) {
	old := t.grads[v]
	t.use(g)
	t.grads[v] = g
	if old != nil {
		sum := t.dev.Like(old)
		t.dev.Run(kernels.Add{N: g.Numel(), M: g.Numel()}, sum, old, g)
		t.use(sum)
		t.grads[v] = sum
		t.drop(old)
		t.drop(g)
	}
}

// takeGrad is the gradient of v so far, for whoever adds it to the next one and drops it then; nil where there is none of
// v's type.
func (t *Tape) takeGrad(v *Var) *tensor.Tensor {
	g := t.grads[v]
	if g == nil || g.DType() != v.t.DType() {
		return nil
	}
	delete(t.grads, v)
	return g
}

func (t *Tape) use(x *tensor.Tensor) { t.uses[x.Memory()]++ }

// drop gives memory back that no later call of the walk and no gradient needs.
func (t *Tape) drop(x *tensor.Tensor) {
	if t.uses[x.Memory()]--; t.uses[x.Memory()] == 0 {
		t.freeAgain(x)
	}
	t.freeUnused(x)
}

func (t *Tape) freeUnused(x *tensor.Tensor) {
	if t.uses[x.Memory()] == 0 && x.Alive() && t.scope.Owns(x) {
		x.Free("Backward has passed it; Tape.Keep holds a value longer")
	}
}

// eachTensor calls f for every tensor the call refers to.
func (c *call) eachTensor(f func(*tensor.Tensor)) {
	for _, vs := range [][]*Var{c.in, c.out} {
		for _, v := range vs {
			if v != nil {
				f(v.t)
			}
		}
	}
	for _, x := range c.saved {
		if x != nil {
			f(x)
		}
	}
}

// Recording reports whether a tape is open on the device: whether this is training, for layers that
// do otherwise then.
func Recording(d *tensor.Device) bool { return recording(d).tape != nil }
