package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// PoolOptions are those of MaxPool2D and AvgPool2D, for height and width each.
type PoolOptions struct {
	Kernel  [2]int // the window
	Stride  [2]int // from one position to the next; 0 means the window's size
	Padding [2]int // elements outside on each side, at most half a window
}

// MaxPool2D is the largest element that a window sees at each of its positions in x [batch,
// channels, height, width]; what is outside never is. The first of equal ones alone gets the
// gradient; a NaN is larger than any number.
func MaxPool2D(x *Var, o PoolOptions) *Var {
	return autograd.Apply(maxPool{o.check("max_pool", x.Tensor())}, x)[0]
}

// AvgPool2D is the mean of what a window sees, as MaxPool2D; outside are zeros, which count.
func AvgPool2D(x *Var, o PoolOptions) *Var {
	return apply(avgPool{o.check("avg_pool", x.Tensor())}, x)
}

// check gives the sizes of a call.
func (o PoolOptions) check(op string, x *tensor.Tensor) kernels.MaxPool {
	if x.Rank() != 4 {
		tensor.Panicf(op, "x is %s: want [batch, channels, height, width]", x)
	}
	for d := range 2 {
		if o.Stride[d] == 0 {
			o.Stride[d] = o.Kernel[d]
		}
		if o.Kernel[d] < 1 || o.Stride[d] < 1 || o.Padding[d] < 0 || 2*o.Padding[d] > o.Kernel[d] ||
			o.Kernel[d] > x.Dim(2+d)+2*o.Padding[d] {
			tensor.Panicf(op, "window %v, stride %v, padding %v for x %s: want a window that fits, and at most half "+
				"of it as padding", o.Kernel, o.Stride, o.Padding, x)
		}
	}
	return kernels.MaxPool{
		Planes: x.Dim(0) * x.Dim(1), Height: x.Dim(2), Width: x.Dim(3), KernelH: o.Kernel[0], KernelW: o.Kernel[1],
		OutHeight: windows(x.Dim(2), o.Kernel[0], o.Stride[0], o.Padding[0], 1),
		OutWidth:  windows(x.Dim(3), o.Kernel[1], o.Stride[1], o.Padding[1], 1),
		StrideH:   o.Stride[0], StrideW: o.Stride[1], PadH: o.Padding[0], PadW: o.Padding[1],
	}
}

// pooled is the shape of the result for x.
func pooled(k kernels.MaxPool, x *tensor.Tensor) []int {
	return []int{x.Dim(0), x.Dim(1), k.OutHeight, k.OutWidth}
}

type maxPool struct{ kernels.MaxPool }

func (p maxPool) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	shape := pooled(p.MaxPool, x)
	y := f.New(x.DType(), shape...)
	var index *tensor.Tensor
	if f.AnyNeeds() {
		index = f.New(tensor.I32, shape...)
	}
	f.Run(p.MaxPool, y, index, x)
	return one(y), one(index)
}

func (p maxPool) Backward(b *autograd.Backward) {
	b.Run(kernels.MaxPoolGrad(p.MaxPool), b.Grad(0), b.DOut[0], b.Saved[0])
}

type avgPool struct{ kernels.MaxPool }

func (p avgPool) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.New(f.In[0].DType(), pooled(p.MaxPool, f.In[0])...)
	f.Run(kernels.AvgPool(p.MaxPool), y, f.In[0])
	return one(y), nil
}

func (p avgPool) Backward(b *autograd.Backward) {
	b.Run(kernels.AvgPoolGrad(p.MaxPool), b.Grad(0), b.DOut[0])
}

func (maxPool) Examples() []autograd.Example { return poolExamples(MaxPool2D) }

func (avgPool) Examples() []autograd.Example { return poolExamples(AvgPool2D) }

func poolExamples(f func(x *Var, o PoolOptions) *Var) []autograd.Example {
	// Distinct numbers far enough apart for a central difference and for bf16.
	distinct := func(i int, _ *random.Stream) float64 { return float64(i*83%257) / 32 }
	example := func(name string, o PoolOptions, shape ...int) autograd.Example {
		return autograd.Example{Name: name, In: []autograd.Input{{Shape: shape, Value: distinct}},
			Call: call(func(in []*Var) *Var { return f(in[0], o) })}
	}
	return []autograd.Example{
		example("halves", PoolOptions{Kernel: [2]int{2, 2}}, 2, 3, 6, 7),
		example("overlapping", PoolOptions{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Padding: [2]int{1, 1}}, 1, 2, 9,
			8),
		example("apart", PoolOptions{Kernel: [2]int{2, 1}, Stride: [2]int{3, 2}}, 2, 1, 10, 9),
		example("wide", PoolOptions{Kernel: [2]int{1, 5}, Stride: [2]int{1, 1}, Padding: [2]int{0, 2}}, 1, 1, 3, 11),
		example("everything", PoolOptions{Kernel: [2]int{4, 5}}, 2, 3, 4, 5),
	}
}
