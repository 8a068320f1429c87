package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// mustBeSuffix panics unless the shape of b is a suffix of a's: the one broadcast
// that elementwise operations know. Everything else is an explicit Expand.
func mustBeSuffix(op string, a, b *Var) {
	skip := a.Tensor().Rank() - b.Tensor().Rank()
	ok := skip >= 0
	for i := 0; ok && i < b.Tensor().Rank(); i++ {
		ok = a.Dim(skip+i) == b.Dim(i)
	}
	if !ok {
		tensor.Panicf(op, "%s and %s: the second shape must be a suffix of the first", a.Tensor(), b.Tensor())
	}
}

// sumToSuffix is the gradient of a broadcast operand, input i of the call: g, shaped
// like the result, summed over the dimensions the operand was repeated over, times
// scale.
func sumToSuffix(b *Back, i int, g *tensor.Tensor, scale float32) *tensor.Tensor {
	if !b.Needs[i] {
		return nil
	}
	x := b.In[i]
	if scale == 1 && g.Numel() == x.Numel() && b.Into[i] == nil && g.DType() == x.DType() {
		return g.Reshape(x.Shape()...)
	}
	dx, acc := b.OperandGrad(i)
	b.Run(shaders.Sum{Outer: 1, N: g.Numel() / x.Numel(), Inner: x.Numel(), Scale: scale, Acc: acc}, dx, g)
	return autograd.Returned(dx, acc)
}
