package autograd

import (
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// early is a gradient that a Forward has left in a parameter's Grad.
type early struct {
	input   int
	grad    *tensor.Tensor
	version uint64 // of its memory then
}

// EarlyGrad is where a Forward that has the gradient of input i at hand may write it before its Backward is called, so that it
// is in memory once: the Grad of a parameter, of type dt, that counts as zero (Param.ForgetGrad); nil: there is none, as for
// another input of the same call that is the same parameter. It goes on counting as zero until Backward has asked for it.
func (f *Forward) EarlyGrad(i int, dt tensor.DType) *tensor.Tensor {
	v := f.vars[i]
	if !f.Needs[i] || v.param == nil || !v.param.forgets() || v.param.Grad.DType() != dt {
		return nil
	}
	if slices.ContainsFunc(f.early, func(e early) bool { return e.grad == v.param.Grad }) {
		return nil
	}
	f.early = append(f.early, early{input: i, grad: v.param.Grad})
	return v.param.Grad
}

// leave notes the state of the memory in which gradients were left.
func (f *Forward) leave() []early {
	for i := range f.early {
		f.early[i].version = f.early[i].grad.Version()
	}
	return f.early
}

// EarlyGrad is the gradient of input i that Forward has left in the parameter's Grad, now as one that is written; nil if it
// has left none, or something has been written to that memory since, such as zeros, or to memory that it is a part of: then it
// has to be made again.
func (b *Backward) EarlyGrad(i int) *tensor.Tensor {
	for _, e := range b.call.early {
		g := &b.grads[i]
		if e.input == i && e.grad == g.into && g.param.forgets() && e.grad.Version() == e.version {
			g.param.forgot = nil
			g.t, g.asked = g.into, true
			return g.t
		}
	}
	return nil
}
