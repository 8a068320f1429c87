package ops

import (
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Concat joins variables along dimension dim; in all others they must agree.
func Concat(dim int, xs ...*Var) *Var {
	if len(xs) == 0 {
		tensor.Panicf("concat", "nothing to join")
	}
	first := xs[0].Tensor()
	d := dimension("concat", first, dim)
	for _, x := range xs[1:] {
		t := x.Tensor()
		shape := t.Shape()
		if t.Rank() == first.Rank() {
			shape[d] = first.Dim(d)
		}
		if !first.HasShape(shape...) || t.DType() != first.DType() {
			tensor.Panicf("concat", "%s and %s along dimension %d", first, t, d)
		}
	}
	return apply(concat{d}, xs...)
}

type concat struct{ dim int }

func (c concat) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	shape := f.In[0].Shape()
	shape[c.dim] = 0
	for _, x := range f.In {
		shape[c.dim] += x.Dim(c.dim)
	}
	y := f.New(f.In[0].DType(), shape...)
	outer := tensor.Numel(shape[:c.dim])
	at, stride := 0, y.Numel()/outer
	for _, x := range f.In {
		cols := x.Numel() / outer
		f.Run(kernels.Copy{Rows: outer, Cols: cols, XStride: cols, YStride: stride, YOffset: at}, y, x)
		at += cols
	}
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (concat) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (c concat) Backward(b *autograd.Backward) {
	dy := b.DOut[0]
	outer := tensor.Numel(dy.Shape()[:c.dim])
	at, stride := 0, dy.Numel()/outer
	for i, x := range b.In {
		cols := x.Numel() / outer
		if dx := b.Grad(i); dx != nil {
			b.Run(kernels.Copy{Rows: outer, Cols: cols, XStride: stride, XOffset: at, YStride: cols}, dx, dy)
		}
		at += cols
	}
}

func (concat) Examples() []autograd.Example {
	example := func(name string, dim int, shapes ...[]int) autograd.Example {
		return autograd.Example{
			Name: name, In: normal(autograd.Activation, shapes...),
			Call: call(func(in []*Var) *Var { return Concat(dim, in...) }),
		}
	}
	frozen := example("one frozen", 1, []int{3, 5, 2}, []int{3, 1, 2}, []int{3, 4, 2})
	frozen.In = slices.Clone(frozen.In)
	frozen.In[1].NoGrad = true
	return []autograd.Example{
		example("columns", -1, []int{3, 5}, []int{3, 7}, []int{3, 1}),
		example("rows", 0, []int{2, 37}, []int{5, 37}),
		example("wide", 1, []int{5, 257}, []int{5, 67}),
		frozen,
	}
}
