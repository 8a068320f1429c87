package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Slice is elements [from, to) of dimension dim. Cut from the first dimension (or
// where all before it are 1) it shares x's memory, else it is a copy.
func Slice(x *Var, dim, from, to int) *Var {
	t := x.Tensor()
	d := dimension("slice", t, dim)
	if from < 0 || from >= to || to > t.Dim(d) {
		tensor.Panicf("slice", "[%d, %d) of dimension %d of %s: want at least one element inside", from, to, d, t)
	}
	return apply(slice{d, from, to}, x)
}

type slice struct{ dim, from, to int }

// sizes gives the shape of the slice of x; outer rows of it have cols elements each,
// at offset in rows of stride elements of x.
func (s slice) sizes(x *tensor.Tensor) (shape []int, outer, cols, stride, offset int) {
	shape = x.Shape()
	inner := tensor.Numel(shape[s.dim+1:])
	outer, stride = tensor.Numel(shape[:s.dim]), shape[s.dim]*inner
	shape[s.dim] = s.to - s.from
	return shape, outer, shape[s.dim] * inner, stride, s.from * inner
}

func (s slice) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	shape, outer, cols, stride, offset := s.sizes(x)
	if outer == 1 {
		return one(x.View(offset, shape...)), nil
	}
	y := f.New(x.DType(), shape...)
	f.Run(kernels.Copy{Rows: outer, Cols: cols, XStride: stride, XOffset: offset, YStride: cols}, y, x)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (slice) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (s slice) Backward(b *autograd.Backward) {
	dy := b.DOut[0]
	shape, outer, cols, stride, offset := s.sizes(b.In[0])
	if outer == 1 {
		dx, acc := b.OperandGrad(0) // f32 where it is a parameter's
		part := dx.View(offset, shape...)
		if acc {
			b.Run(kernels.Add{N: cols, M: cols}, part, part, dy)
			return
		}
		b.Run(kernels.Fill{N: dx.Numel()}, dx)
		b.Run(kernels.Cast{N: cols}, part, dy)
		return
	}
	dx := b.Grad(0)
	b.Run(kernels.Fill{N: dx.Numel()}, dx)
	b.Run(kernels.Copy{Rows: outer, Cols: cols, XStride: cols, YStride: stride, YOffset: offset}, dx, dy)
}

func (slice) Examples() []autograd.Example {
	example := func(name string, shape []int, dim, from, to int) autograd.Example {
		return autograd.Example{
			Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return Slice(in[0], dim, from, to) }),
		}
	}
	return []autograd.Example{
		example("columns", []int{3, 7}, -1, 2, 5),
		example("rows", []int{7, 37}, 0, 3, 7),
		example("middle", []int{2, 11, 5}, 1, 0, 1),
		example("wide", []int{3, 521}, 1, 131, 388),
		{
			Name: "overlapping", In: normal(autograd.Activation, []int{5, 3}),
			Call: call(func(in []*Var) *Var { return Mul(Slice(in[0], 0, 0, 4), Slice(in[0], 0, 1, 5)) }),
		},
	}
}
