package ops

import (
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// Variance is the mean squared distance from the mean over dimension dim, which the result no
// longer has, or over everything without dim. The sum is divided by the number of elements less
// correction: 0 as in LayerNorm, 1 for the unbiased variance (PyTorch's default).
func Variance(x *Var, correction int, dim ...int) *Var {
	r := reduce("variance", x.Tensor(), dim)
	if correction < 0 || r.n <= correction {
		tensor.Panicf("variance", "correction %d for %d elements: want at least 0, and more elements", correction, r.n)
	}
	at := Reshape(x, r.outer, r.n, r.inner)
	mean := Expand(Reshape(Mean(at, 1), r.outer, 1, r.inner), -1, r.n, -1)
	distance := Sub(at, mean)
	squares := Scale(Sum(Mul(distance, distance), 1), 1/float32(r.n-correction), 0)
	return Reshape(squares, slices.Clone(r.shape)...)
}
