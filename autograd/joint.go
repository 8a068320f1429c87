package autograd

import "github.com/agora-ml/agora/tensor"

// Joint is work of many calls that is done at once when a tape has walked all of them: one kernel where each would have run
// its own.
type Joint interface{ Finish() }

// Joint is what begin makes, once on the way back of a tape for each key, also for the calls inside of checkpoints. What
// it needs tensors for it has from Lasting.
func (b *Backward) Joint(key any, begin func() Joint) Joint {
	t := b.tape.outermost()
	j, ok := t.joints[key]
	if !ok {
		if j = begin(); t.joints == nil {
			t.joints = map[any]Joint{}
		}
		t.joints[key], t.inOrder = j, append(t.inOrder, j)
	}
	return j
}

// Lasting is New for a Joint: the tensor lives until the outermost tape is closed.
func (b *Backward) Lasting(dt tensor.DType, shape ...int) *tensor.Tensor {
	x, t := b.New(dt, shape...), b.tape.outermost()
	for s := b.CurrentScope(); s != nil && s != t.scope; s = s.Parent() {
		s.Keep(x)
	}
	return x
}

// Leave says that a Joint adds the gradient of input i, a parameter, to its Grad.
func (b *Backward) Leave(i int) {
	if !b.Needs[i] {
		return
	}
	g := &b.grads[i]
	if g.into == nil || g.asked {
		tensor.Panicf(OpName(b.op), "gradient %d cannot be left to others: want a parameter's that nobody has asked for", i)
	}
	g.param.SettleGrad()
	g.t, g.asked = g.into, true
}

// outermost is the tape of whose checkpoint t is the second run, or t.
func (t *Tape) outermost() *Tape {
	for t.second != nil {
		t = t.second.tape
	}
	return t
}

// finish does the work that calls have left.
func (t *Tape) finish() {
	for _, j := range t.inOrder {
		j.Finish()
	}
	t.joints, t.inOrder = nil, nil
}
