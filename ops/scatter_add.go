package ops

import (
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// ScatterAdd is base with the elements of x added along dimension dim where index says:
// y[…,index[…,j,…],…] += x[…,j,…], in the order of j. index is i32 and of x's shape, base of the same
// but for that dimension. An index outside is skipped. No order of threads changes a sum.
func ScatterAdd(base *Var, dim int, index, x *Var) *Var {
	s := along("scatter_add", base.Tensor(), dim, index.Tensor())
	if !x.Tensor().SameShape(index.Tensor()) || x.Tensor().DType() != base.Tensor().DType() {
		tensor.Panicf("scatter_add", "x %s for index %s and base %s: want the shape of the one and the dtype of "+
			"the other",
			x.Tensor(), index.Tensor(), base.Tensor())
	}
	return apply(scatterAdd{s}, base, index, x)
}

type scatterAdd struct{ indexed }

func (s scatterAdd) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	base, index, x := f.In[0], f.In[1], f.In[2]
	y := f.Like(base)
	f.Run(kernels.ScatterAdd{Outer: s.outer, N: s.n, M: s.m, Inner: s.inner}, y, x, index, base)
	return one(y), nil
}

func (s scatterAdd) Backward(b *autograd.Backward) {
	b.SetGrad(0, b.DOut[0])
	if dx := b.Grad(2); dx != nil {
		b.Run(kernels.Gather{Outer: s.outer, N: s.n, M: s.m, Inner: s.inner}, dx, b.DOut[0], b.In[1])
	}
}

func (scatterAdd) Examples() []autograd.Example {
	example := func(name string, dim, n int, shape ...int) autograd.Example {
		index := slices.Clone(shape)
		index[dim] = n
		return autograd.Example{Name: name,
			In:   []autograd.Input{{Shape: shape}, indexInput(index, shape[dim]), {Shape: index}},
			Call: call(func(in []*Var) *Var { return ScatterAdd(in[0], dim, in[1], in[2]) })}
	}
	return []autograd.Example{
		example("rows", 0, 37, 5, 3),
		example("columns", 1, 19, 7, 11),
		example("middle", 1, 4, 2, 9, 5),
		example("one", 0, 1, 1),
	}
}
