package ops

import "github.com/agora-ml/agora/tensor"

// reduced is a shape cut around the dimension that a reduction removes:
// [outer, n, inner] becomes [outer, inner], which has the dimensions shape.
type reduced struct {
	outer, n, inner int
	shape           []int
}

// reduce cuts x at its dimension dim[0], counted from the end if negative; without
// one, n is everything and the result a single number of shape [].
func reduce(op string, x *tensor.Tensor, dim []int) reduced {
	switch len(dim) {
	case 0:
		return reduced{outer: 1, n: x.Numel(), inner: 1}
	case 1:
		d := dimension(op, x, dim[0])
		shape := x.Shape()
		return reduced{
			outer: tensor.Numel(shape[:d]), n: shape[d], inner: tensor.Numel(shape[d+1:]),
			shape: append(shape[:d:d], shape[d+1:]...),
		}
	}
	tensor.Panicf(op, "dimensions %v of %s: want one, or none for all", dim, x)
	return reduced{}
}

// dimension is d counted from the front.
func dimension(op string, x *tensor.Tensor, d int) int {
	from := d
	if d < 0 {
		d += x.Rank()
	}
	if d < 0 || d >= x.Rank() {
		tensor.Panicf(op, "no dimension %d in %s", from, x)
	}
	return d
}
