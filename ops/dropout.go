package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Dropout zeroes each element with probability p, below 1, and divides the others by
// 1 - p. Without a tape, which is inference, it is x itself. Srivastava et al., JMLR
// 15 (2014). The mask follows from the tape's Seed and Step alone.
func Dropout(x *Var, p float32) *Var {
	if !(p >= 0 && p < 1) {
		tensor.Panicf("dropout", "probability %g: want at least 0 and below 1", p)
	}
	if p == 0 {
		return x
	}
	return apply(&dropout{p: p}, x)
}

type dropout struct {
	p  float32
	at autograd.RandomAt // where Forward drew the mask
}

func (d *dropout) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	at, ok := f.Random()
	if !ok {
		return one(x), nil
	}
	d.at = at
	y := f.Like(x)
	f.Run(d.kernel(x), y, x)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (*dropout) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (d *dropout) Backward(b *autograd.Backward) {
	b.Run(d.kernel(b.In[0]), b.Grad(0), b.DOut[0])
}

func (d *dropout) kernel(x *tensor.Tensor) kernels.Dropout {
	return kernels.Dropout{N: x.Numel(), P: d.p, Key0: d.at.Key[0], Key1: d.at.Key[1], Step: d.at.Step, Op: d.at.Op}
}

func (*dropout) Examples() []autograd.Example {
	example := func(name string, p float32, shape ...int) autograd.Example {
		return autograd.Example{
			Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return Dropout(in[0], p) }),
		}
	}
	large := example("large", 0.05, 4096, 1024)
	large.Large = true
	return []autograd.Example{
		example("half", 0.5, 7, 37),
		{
			Name: "none", In: normal(autograd.Activation, []int{5}),
			Call: call(func(in []*Var) *Var { return Add(in[0], Dropout(in[0], 0)) }),
		},
		example("one element", 0.3, 1),
		example("prime", 0.05, 3, 257),
		{
			Name: "two masks", In: normal(autograd.Activation, []int{67}),
			Call: call(func(in []*Var) *Var { return Mul(Dropout(in[0], 0.3), Dropout(in[0], 0.3)) }),
		},
		large,
	}
}
