package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Conv2DOptions are those of Conv2D, for height and width each. The zero value is a window that
// moves by one and stays inside the image.
type Conv2DOptions struct {
	Stride   [2]int // from one position to the next; 0 means 1
	Padding  [2]int // zeros on each side
	Dilation [2]int // distance between the elements of a window; 0 means 1
	Groups   int    // parts of the channels that are apart from each other; 0 means 1
}

// Conv2D is the two-dimensional convolution (as everywhere, the cross-correlation) of x [batch,
// channels, height, width] with weight [out, channels/groups, kernel height, kernel width], plus bias
// [out] or nil: [batch, out, positions down, positions across], where (size + 2 padding - dilation
// (kernel - 1) - 1) / stride + 1 positions fit.
func Conv2D(x, weight, bias *Var, o Conv2DOptions) *Var {
	xt, wt := x.Tensor(), weight.Tensor()
	for d := range 2 {
		o.Stride[d], o.Dilation[d] = orOne(o.Stride[d]), orOne(o.Dilation[d])
		if o.Stride[d] < 1 || o.Dilation[d] < 1 || o.Padding[d] < 0 {
			tensor.Panicf("conv2d", "stride %v, padding %v, dilation %v: want none below 0", o.Stride, o.Padding,
				o.Dilation)
		}
	}
	o.Groups = orOne(o.Groups)
	if xt.Rank() != 4 || wt.Rank() != 4 || o.Groups < 1 || wt.Dim(0)%o.Groups != 0 || wt.Dim(1)*o.Groups != xt.Dim(1) {
		tensor.Panicf("conv2d", "weight %s for x %s in %d groups: want [batch, channels, height, width] and "+
			"[a multiple of groups, channels/groups, height, width]",
			wt, xt, o.Groups)
	}
	if bias != nil && !bias.Tensor().HasShape(wt.Dim(0)) {
		tensor.Panicf("conv2d", "bias %s for weight %s: want [%d]", bias.Tensor(), wt, wt.Dim(0))
	}
	c := conv2d{o, columnBytes}
	if s := c.sizes(xt, wt); s.OutHeight < 1 || s.OutWidth < 1 {
		tensor.Panicf("conv2d", "a window of weight %s with dilation %v is larger than x %s with padding %v", wt,
			o.Dilation, xt, o.Padding)
	}
	return apply(c, x, weight, bias)
}

func orOne(n int) int {
	if n == 0 {
		return 1
	}
	return n
}

// windows is how many positions a window has on size elements.
func windows(size, kernel, stride, padding, dilation int) int {
	if span := size + 2*padding - dilation*(kernel-1) - 1; span >= 0 {
		return span/stride + 1
	}
	return 0
}

// columnBytes is how large the matrix of all windows may be: it is made for so many images at a
// time.
const columnBytes = 32 << 20

type conv2d struct {
	Conv2DOptions
	bytes int // columnBytes, but for tests
}

// sizes is the call of Im2Col for one image and the first group.
func (c conv2d) sizes(x, w *tensor.Tensor) kernels.Im2Col {
	k := kernels.Im2Col{
		Channels: x.Dim(1), Count: w.Dim(1), Height: x.Dim(2), Width: x.Dim(3), KernelH: w.Dim(2), KernelW: w.Dim(3),
		StrideH: c.Stride[0], StrideW: c.Stride[1], PadH: c.Padding[0], PadW: c.Padding[1], StepH: c.Dilation[0],
		StepW: c.Dilation[1],
	}
	k.OutHeight = windows(k.Height, k.KernelH, k.StrideH, k.PadH, k.StepH)
	k.OutWidth = windows(k.Width, k.KernelW, k.StrideW, k.PadW, k.StepW)
	k.N = k.OutHeight * k.OutWidth
	return k
}

// part is some images of a convolution, and the memory that its products need.
type part struct {
	lo, hi int
	im2col kernels.Im2Col
	cols   *tensor.Tensor // [rows, window]: what the windows of a group see
	rows   *tensor.Tensor // [groups, rows, out/groups]: the result, or its gradient, as products have it
}

// parts calls f for so many images at a time that their columns fit.
func (c conv2d) parts(d *tensor.Device, x, w *tensor.Tensor, f func(p part)) {
	k := c.sizes(x, w)
	batch, positions, window := x.Dim(0), k.N, w.Numel()/w.Dim(0)
	n := min(batch, max(1, c.bytes/x.DType().Bytes(positions*window)))
	cols, rows := d.New(x.DType(), n*positions*window), d.New(x.DType(), n*positions*w.Dim(0))
	for lo := 0; lo < batch; lo += n {
		hi := min(lo+n, batch)
		k.N = (hi - lo) * positions
		f(part{lo, hi, k, cols.View(0, k.N, window), rows.View(0, c.Groups, k.N, w.Dim(0)/c.Groups)})
	}
}

// of is group g of a tensor that has groups one behind the other, as a matrix.
func (c conv2d) of(g int, t *tensor.Tensor, cols int) *tensor.Tensor {
	n := t.Numel() / c.Groups
	return t.View(g*n, n/cols, cols)
}

// Forward: the windows of every position as rows times the weight, then channels before positions.
func (c conv2d) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, w, bias := f.In[0], f.In[1], f.In[2]
	s := c.sizes(x, w)
	y := f.New(x.DType(), x.Dim(0), w.Dim(0), s.OutHeight, s.OutWidth)
	window, per := w.Numel()/w.Dim(0), w.Dim(0)/c.Groups
	c.parts(f.Device, x, w, func(p part) {
		for g := range c.Groups {
			p.im2col.First = g * s.Count
			f.Run(p.im2col, p.cols, rowsOf(x, p.lo, p.hi))
			var b *tensor.Tensor
			if bias != nil {
				b = bias.View(g*per, per)
			}
			f.Run(kernels.Matmul{Batch: 1, M: p.im2col.N, N: per, K: window, BiasRows: 1, TransB: true}, c.of(g, p.rows, per),
				p.cols, c.of(g, w, window), b)
		}
		from := p.rows.Reshape(c.Groups, p.hi-p.lo, s.N, per)
		permuteInto(f.Device, rowsOf(y, p.lo, p.hi).Reshape(p.hi-p.lo, c.Groups, per, s.N), from, []int{1, 0, 3, 2})
	})
	return one(y), nil
}

// Backward makes the columns again: dW = dyᵀ cols, and dx is what the columns of dy W add up to.
func (c conv2d) Backward(b *autograd.Backward) {
	x, w, dy := b.In[0], b.In[1], b.DOut[0]
	s := c.sizes(x, w)
	window, per := w.Numel()/w.Dim(0), w.Dim(0)/c.Groups
	dx := b.Grad(0)
	c.parts(b.Device, x, w, func(p part) {
		from := rowsOf(dy, p.lo, p.hi).Reshape(p.hi-p.lo, c.Groups, per, s.N)
		permuteInto(b.Device, p.rows.Reshape(c.Groups, p.hi-p.lo, s.N, per), from, []int{1, 0, 3, 2})
		dw, accW := b.WeightGrad(1) // the second part adds to the first
		db, accB := b.WeightGrad(2)
		for g := range c.Groups {
			p.im2col.First = g * s.Count
			dyg, rows := c.of(g, p.rows, per), p.im2col.N
			if dw != nil {
				b.Run(p.im2col, p.cols, rowsOf(x, p.lo, p.hi))
				b.Run(kernels.Matmul{Batch: 1, M: per, N: window, K: rows, TransA: true, Acc: accW},
					c.of(g, dw, window), dyg, p.cols, nil)
			}
			if db != nil {
				b.Run(kernels.Sum{Outer: 1, N: rows, Inner: per, Scale: 1, Acc: accB}, db.View(g*per, per), dyg)
			}
			if dx != nil {
				b.Run(kernels.Matmul{Batch: 1, M: rows, N: window, K: per}, p.cols, dyg, c.of(g, w, window), nil)
				k := kernels.Col2Im(p.im2col)
				k.N = (p.hi - p.lo) * s.Count * s.Height * s.Width
				b.Run(k, rowsOf(dx, p.lo, p.hi), p.cols)
			}
		}
	})
}

func (conv2d) Examples() []autograd.Example {
	example := func(name string, batch, channels, height, width, out, kh, kw int, bias bool,
		o Conv2DOptions) autograd.Example {
		e := autograd.Example{Name: name, In: []autograd.Input{
			{Shape: []int{batch, channels, height, width}},
			{Shape: []int{out, channels / max(1, o.Groups), kh, kw}, Kind: autograd.Weight},
			{Kind: autograd.Weight},
		}, Call: call(func(in []*Var) *Var { return Conv2D(in[0], in[1], in[2], o) })}
		if bias {
			e.In[2].Shape = []int{out}
		}
		return e
	}
	parts := example("an image at a time", 3, 2, 5, 4, 3, 2, 2, true, Conv2DOptions{})
	parts.Call = call(func(in []*Var) *Var {
		return apply(conv2d{Conv2DOptions{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1}, 1}, in...)
	})
	large := example("large", 32, 32, 28, 28, 64, 3, 3, true, Conv2DOptions{Padding: [2]int{1, 1}})
	large.Large = true
	return []autograd.Example{
		example("padded", 2, 3, 7, 9, 4, 3, 3, true, Conv2DOptions{Padding: [2]int{1, 1}}),
		example("plain", 2, 2, 5, 6, 3, 2, 3, false, Conv2DOptions{}),
		example("stride", 2, 2, 9, 8, 3, 3, 2, true, Conv2DOptions{Stride: [2]int{2, 3}, Padding: [2]int{1, 0}}),
		example("dilated", 1, 2, 11, 9, 3, 3, 3, true, Conv2DOptions{Dilation: [2]int{2, 3}, Padding: [2]int{0, 2}}),
		example("groups", 2, 6, 5, 5, 4, 3, 3, true, Conv2DOptions{Groups: 2, Padding: [2]int{1, 1}}),
		example("a group a channel", 2, 3, 5, 4, 6, 3, 3, false, Conv2DOptions{Groups: 3, Stride: [2]int{2, 1}}),
		example("one by one", 2, 5, 3, 4, 7, 1, 1, true, Conv2DOptions{}),
		example("one position", 3, 2, 3, 3, 4, 3, 3, true, Conv2DOptions{}),
		parts, large,
	}
}
