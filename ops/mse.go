package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// MSE is the mean of (pred - target)², one number of shape [], in f32 whatever the
// operands' dtype.
func MSE(pred, target *Var) *Var {
	if !pred.Tensor().SameShape(target.Tensor()) {
		tensor.Panicf("mse", "pred %s and target %s: want one shape", pred.Tensor(), target.Tensor())
	}
	return apply(mse{}, pred, target)
}

type mse struct{}

// mseBlock is how many squares one partial sum takes.
const mseBlock = 4096

func (mse) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	diff := f.Like(f.In[0])
	n := diff.Numel()
	stat := autograd.StatType(diff.DType())
	parts := f.New(stat, (n+mseBlock-1)/mseBlock)
	loss := f.New(stat)
	f.Run(kernels.Sub{N: n, M: n}, diff, f.In[0], f.In[1])
	f.Run(kernels.SumSquares{N: n, Block: mseBlock}, parts, diff)
	f.Run(kernels.Sum{Outer: 1, N: parts.Numel(), Inner: 1, Scale: 1 / float32(n)}, loss, parts)
	if !f.AnyNeeds() {
		return one(loss), nil
	}
	return one(loss), one(diff)
}

// Backward: dpred = 2/n (pred - target) dloss, dtarget the opposite.
func (mse) Backward(b *autograd.Backward) {
	diff := b.Saved[0]
	n := diff.Numel()
	for i, sign := range []float32{2, -2} {
		if g := b.Grad(i); g != nil {
			b.Run(kernels.Mul{N: n, M: 1}, g, diff, b.DOut[0])
			b.Run(kernels.Scale{N: n, Alpha: sign / float32(n)}, g, g)
		}
	}
}

func (mse) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return MSE(in[0], in[1]) })
	example := func(name string, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: normal(autograd.Activation, shape, shape), Call: f}
	}
	constant := example("constant target", 5, 7)
	constant.In[1].NoGrad = true
	return []autograd.Example{
		example("both", 3, 5),
		example("one", 1),
		constant,
		example("several blocks", 3, 4099),
	}
}
