package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Pad puts elements of one value before and after x along dimension dim.
func Pad(x *Var, dim, before, after int, value float32) *Var {
	d := dimension("pad", x.Tensor(), dim)
	if before < 0 || after < 0 {
		tensor.Panicf("pad", "%d before and %d after: want at least 0", before, after)
	}
	return apply(pad{d, before, after, value}, x)
}

type pad struct {
	dim, before, after int
	value              float32
}

// inside is the slice of the result where x is.
func (p pad) inside(x *tensor.Tensor) slice { return slice{p.dim, p.before, p.before + x.Dim(p.dim)} }

func (p pad) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	shape := x.Shape()
	shape[p.dim] += p.before + p.after
	y := f.New(x.DType(), shape...)
	f.Run(kernels.Fill{N: y.Numel(), Value: p.value}, y)
	_, outer, cols, stride, offset := p.inside(x).sizes(y)
	f.Run(kernels.Copy{Rows: outer, Cols: cols, XStride: cols, YStride: stride, YOffset: offset}, y, x)
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (pad) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (p pad) Backward(b *autograd.Backward) {
	_, outer, cols, stride, offset := p.inside(b.In[0]).sizes(b.DOut[0])
	b.Run(kernels.Copy{Rows: outer, Cols: cols, XStride: stride, XOffset: offset, YStride: cols}, b.Grad(0), b.DOut[0])
}

func (pad) Examples() []autograd.Example {
	example := func(name string, dim, before, after int, value float32, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return Pad(in[0], dim, before, after, value) })}
	}
	return []autograd.Example{
		example("columns", -1, 2, 3, 0, 5, 67),
		example("rows", 0, 1, 0, 1.5, 3, 7),
		example("middle", 1, 0, 2, 0, 2, 5, 3),
		example("nothing", 0, 0, 0, 0, 1),
	}
}
