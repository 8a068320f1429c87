package ops

import (
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// Stack joins variables of one shape along a new dimension dim, from 0 to their rank; a negative
// one counts from the end of the result's.
func Stack(dim int, xs ...*Var) *Var {
	if len(xs) == 0 {
		tensor.Panicf("stack", "nothing to join")
	}
	rank := xs[0].Tensor().Rank()
	if dim < 0 {
		dim += rank + 1
	}
	if dim < 0 || dim > rank {
		tensor.Panicf("stack", "a new dimension %d for %s: want 0 to %d", dim, xs[0].Tensor(), rank)
	}
	thin := make([]*Var, len(xs))
	for i, x := range xs {
		if !x.Tensor().SameShape(xs[0].Tensor()) {
			tensor.Panicf("stack", "%s and %s: want one shape", xs[0].Tensor(), x.Tensor())
		}
		thin[i] = Reshape(x, slices.Insert(x.Shape(), dim, 1)...)
	}
	return Concat(dim, thin...)
}

// Split cuts x along dimension dim into pieces of the given sizes, which add up to it.
func Split(x *Var, dim int, sizes ...int) []*Var {
	d := dimension("split", x.Tensor(), dim)
	total := 0
	for _, n := range sizes {
		total += n
	}
	if total != x.Dim(d) {
		tensor.Panicf("split", "pieces of %v of dimension %d of %s: they add up to %d", sizes, d, x.Tensor(), total)
	}
	pieces, at := make([]*Var, len(sizes)), 0
	for i, n := range sizes {
		pieces[i] = Slice(x, d, at, at+n)
		at += n
	}
	return pieces
}
