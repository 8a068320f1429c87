package autograd

import "github.com/agora-ml/agora/tensor"

// Selective is an operation whose Backward reads only some of what Forward has seen and made. The rest is freed as
// early as nobody else reads it, and a checkpointed segment does not compute it again. Of any other operation all is
// kept.
type Selective interface {
	// BackwardReads returns whose values Backward reads when it is asked for the gradients of needs. Of other tensors
	// it may use shape and type.
	BackwardReads(needs []bool) Reads
}

// Reads says which of an operation's tensors are read, inputs and outputs by their index: those beyond the end of a
// slice are not.
type Reads struct {
	In, Out []bool
	Saved   bool // what Forward saved, all of it
}

// reads returns what the Backward of a call reads, as far as the call has it: inputs first, and how many; whether Forward
// saves something is known beforehand.
func (c *call) reads() (read []*tensor.Tensor, inputs int, saved bool) {
	what, selective := Reads{Saved: true}, false
	if op, ok := c.op.(Selective); ok {
		what, selective = op.BackwardReads(c.needs), true
	}
	pick := func(vs []*Var, is []bool) {
		for i, v := range vs {
			if v != nil && (!selective || i < len(is) && is[i]) {
				read = append(read, v.t)
			}
		}
	}
	pick(c.in, what.In)
	inputs = len(read)
	pick(c.out, what.Out)
	if !what.Saved {
		return read, inputs, false
	}
	for _, x := range c.saved {
		if x != nil {
			read = append(read, x)
		}
	}
	return read, inputs, true
}
