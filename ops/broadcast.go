package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
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

// sumToSuffix writes the gradient of a broadcast operand, input i of the call: g, shaped
// like the result, summed over the dimensions the operand was repeated over, times
// scale.
func sumToSuffix(b *autograd.Backward, i int, g *tensor.Tensor, scale float32) {
	x := b.In[i]
	if scale == 1 && g.Numel() == x.Numel() && g.DType() == x.DType() {
		b.SetGrad(i, g.Reshape(x.Shape()...))
		return
	}
	if dx, acc := b.OperandGrad(i); dx != nil {
		b.Run(kernels.Sum{Outer: 1, N: g.Numel() / x.Numel(), Inner: x.Numel(), Scale: scale, Acc: acc}, dx, g)
	}
}
