package autograd

import "github.com/agora-ml/agora/tensor"

// Cheap is a Selective operation with one result that takes little time to make again, of inputs that its Backward all reads
// anyway: a Segment forgets that result although the Backward of others reads it, and the tape makes it again for them. Where
// every kernel has a price of its own (tensor.Device.Launches) it stays, and where a Backward reads it as another tensor than an
// input: its own as Out, which a Cheap operation's should not, or that of another as one that Forward has saved. Forward
// promises the same bits whenever it is called with the same inputs: it draws no random numbers and keeps no state.
type Cheap interface {
	Selective
	CheapAgain()
}

// noteCheap remembers the call that has made what a Segment may forget. Only inputs are made again (walk): what Backward
// reads of outputs and saved tensors stays.
func (t *Tape) noteCheap(c *call) {
	if _, ok := c.op.(Cheap); ok && !t.dev.Launches() {
		if t.makers == nil {
			t.makers = map[*tensor.Tensor]*call{}
		}
		t.makers[c.out[0].t] = c
	}
	for _, x := range c.read[c.inputs:] {
		delete(t.makers, x)
	}
}

// value is x, made again if a Segment has forgotten it.
func (t *Tape) value(x *tensor.Tensor) *tensor.Tensor {
	maker := t.makers[x]
	if maker == nil || x.Alive() {
		return x
	}
	if y := t.again[x]; y != nil {
		return y
	}
	f := Forward{Device: t.dev, Needs: make([]bool, len(maker.in))}
	for _, v := range maker.in {
		f.In = append(f.In, t.value(v.t))
	}
	scope := t.dev.Scope()
	defer scope.Close()
	out, _ := maker.op.Forward(&f)
	scope.Keep(out[0])
	if t.again == nil {
		t.again = map[*tensor.Tensor]*tensor.Tensor{}
	}
	t.again[x] = out[0]
	t.use(out[0])
	return out[0]
}

// freeAgain gives back what was made again in place of x, if it is no gradient by now.
func (t *Tape) freeAgain(x *tensor.Tensor) {
	if y := t.again[x]; y != nil {
		delete(t.again, x)
		if t.uses[y.Memory()]--; t.uses[y.Memory()] == 0 {
			y.Free("Backward has passed it")
		}
	}
}
