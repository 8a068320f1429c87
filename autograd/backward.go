package autograd

import (
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Backward is what an operation's Backward is called with. For each input it asks where the gradient goes (Grad,
// WeightGrad or OperandGrad) and runs kernels that write there, or it has a tensor that
// is the gradient already (SetGrad). An input that needs no gradient gives nil; one that
// needs it and gets none is a mistake that the tape reports. All other tensors that
// Backward makes are freed when it returns.
type Backward struct {
	*tensor.Device
	// In, Out and Saved are those of Forward. Of a Selective operation only what it reads has values still.
	In, Out, Saved []*tensor.Tensor
	// DOut are the gradients of the outputs, never nil for float outputs. They may be
	// somebody else's as well: Backward must not write into them.
	DOut  []*tensor.Tensor
	Needs []bool // whose gradient is wanted

	op    Op
	tape  *Tape
	call  *call
	grads []gradient // of the inputs
}

// gradient is what a Backward remembers of an input's.
type gradient struct {
	t     *tensor.Tensor
	param *Param         // whose it is; nil: no parameter's
	into  *tensor.Tensor // where a parameter's is to be added; t may be the same
	asked bool
	given bool           // by SetGrad
	plus  *tensor.Tensor // GradPlus's, which t holds
}

// Grad is where the gradient of input i is to be written, all of it: a tensor of the
// input's dtype and shape. Asked again, it is the same tensor.
func (b *Backward) Grad(i int) *tensor.Tensor {
	if !b.Needs[i] {
		return nil
	}
	return b.handOut(i, b.In[i].DType(), nil)
}

// GradPlus is Grad for a kernel that adds another tensor: plus is what the other uses of input i that have been walked gave
// its gradient, and is to be added to what is written; nil: nothing.
func (b *Backward) GradPlus(i int) (g, plus *tensor.Tensor) {
	if g = b.Grad(i); g != nil && b.grads[i].plus == nil {
		b.grads[i].plus = b.tape.takeGrad(b.call.in[i])
	}
	return g, b.grads[i].plus
}

// WeightGrad is Grad for weights, f32 (f64 beside f64 tensors). With acc the kernel must
// add to what is there: to the parameter's gradient of earlier calls, or to what this
// call has written, when it asks again.
func (b *Backward) WeightGrad(i int) (g *tensor.Tensor, acc bool) {
	if !b.Needs[i] {
		return nil, false
	}
	return b.sum(i, StatType(b.In[i].DType()))
}

// AddsToParam reports whether input i is a parameter whose Grad is what WeightGrad and OperandGrad hand out, f32 whatever
// the input is.
func (b *Backward) AddsToParam(i int) bool { return b.grads[i].into != nil }

// OperandGrad is WeightGrad for an input that may be an activation as well as a
// parameter: a new tensor has the input's own dtype.
func (b *Backward) OperandGrad(i int) (g *tensor.Tensor, acc bool) {
	if !b.Needs[i] {
		return nil, false
	}
	return b.sum(i, b.In[i].DType())
}

func (b *Backward) sum(i int, dt tensor.DType) (g *tensor.Tensor, acc bool) {
	of := &b.grads[i]
	acc = of.asked || of.into != nil && !of.param.forgets()
	if of.into != nil {
		of.param.forgot = nil
	}
	return b.handOut(i, dt, of.into), acc
}

// GradOrScratch is Grad, but memory to be thrown away where nobody wants the gradient:
// for a kernel that writes several at once.
func (b *Backward) GradOrScratch(i int) *tensor.Tensor {
	if !b.Needs[i] {
		return b.Like(b.In[i])
	}
	return b.Grad(i)
}

// GradOver is GradOrScratch in the memory of input i itself where nobody reads that after this call: for a kernel of
// which the one may be the other.
func (b *Backward) GradOver(i int) *tensor.Tensor {
	g := &b.grads[i]
	if g.asked || !b.tape.readsLast(b.call, i) {
		return b.GradOrScratch(i)
	}
	if b.Needs[i] {
		g.t, g.asked = b.In[i], true
	}
	return b.In[i]
}

// SetGrad says that g, of the input's shape, is the gradient of input i, in place of any
// that was handed out. Nothing is copied: g may be the output's gradient itself, a view of
// it, or a saved tensor, and nobody may write to it any more. Nil says that no output
// depends on the input.
func (b *Backward) SetGrad(i int, g *tensor.Tensor) {
	if !b.Needs[i] {
		return
	}
	if g != nil && !g.SameShape(b.In[i]) {
		tensor.Panicf(OpName(b.op), "gradient %d is %s, the input %s", i, g, b.In[i])
	}
	b.grads[i].t, b.grads[i].asked, b.grads[i].given = g, true, true
}

// handOut gives the memory of a gradient: into, or a new tensor, or that of before.
func (b *Backward) handOut(i int, dt tensor.DType, into *tensor.Tensor) *tensor.Tensor {
	g := &b.grads[i]
	switch {
	case g.given:
		tensor.Panicf(OpName(b.op), "gradient %d was given by SetGrad: nobody may write to it", i)
	case !g.asked && into != nil:
		g.t, g.asked = into, true
	case !g.asked:
		g.t, g.asked = b.New(dt, b.In[i].Shape()...), true
	}
	return g.t
}

// collect gives the gradients that are still to be added somewhere, nil for the others.
// Those of parameters have been added, by the kernels or here.
func (b *Backward) collect() []*tensor.Tensor {
	grads := make([]*tensor.Tensor, len(b.In))
	for i, g := range b.grads {
		switch {
		case b.Needs[i] && !g.asked:
			tensor.Panicf(OpName(b.op), "Backward gives no gradient of input %d, %s", i, b.In[i])
		case g.t == nil || g.t == g.into:
		case g.into != nil && g.param.forgets():
			g.param.forgot = nil
			b.Run(kernels.Cast{N: g.t.Numel()}, g.into, g.t)
		case g.into != nil:
			b.Run(kernels.Add{N: g.t.Numel(), M: g.t.Numel()}, g.into, g.into, g.t)
		default:
			grads[i] = g.t
		}
	}
	return grads
}
