package ops

import (
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Permute copies x with its dimensions in another order: dimension i of the result
// is dimension axes[i] of x.
func Permute(x *Var, axes ...int) *Var {
	t := x.Tensor()
	order := make([]int, len(axes))
	seen := make([]bool, t.Rank())
	for i, a := range axes {
		order[i] = dimension("permute", t, a)
		seen[order[i]] = true
	}
	if len(axes) != t.Rank() || slices.Contains(seen, false) {
		tensor.Panicf("permute", "axes %v of %s: want every dimension once", axes, t)
	}
	return apply(permute{order}, x)
}

// Transpose copies x with dimensions i and j exchanged.
func Transpose(x *Var, i, j int) *Var {
	t := x.Tensor()
	i, j = dimension("transpose", t, i), dimension("transpose", t, j)
	axes := make([]int, t.Rank())
	for k := range axes {
		axes[k] = k
	}
	axes[i], axes[j] = j, i
	return apply(permute{axes}, x)
}

type permute struct{ axes []int }

func (p permute) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	return one(permuted(f.Device, f.In[0], p.axes)), nil
}

// BackwardReads implements autograd.Selective.
func (permute) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (p permute) Backward(b *autograd.Backward) {
	back := make([]int, len(p.axes))
	for i, a := range p.axes {
		back[a] = i
	}
	b.SetGrad(0, permuted(b.Device, b.DOut[0], back))
}

// permuted is x with its dimensions in another order; where nothing moves, a view.
func permuted(d *tensor.Device, x *tensor.Tensor, axes []int) *tensor.Tensor {
	k, shape := permutation(x, axes)
	if k == nil {
		return x.Reshape(shape...)
	}
	y := d.New(x.DType(), shape...)
	d.Run(*k, y, x)
	return y
}

// permuteInto writes permuted to y.
func permuteInto(d *tensor.Device, y, x *tensor.Tensor, axes []int) {
	if k, _ := permutation(x, axes); k != nil {
		d.Run(*k, y, x)
	} else {
		d.Run(kernels.Copy{Rows: 1, Cols: x.Numel(), XStride: x.Numel(), YStride: x.Numel()}, y, x)
	}
}

// permutation is the kernel's call and the result's shape. Dimensions that stay neighbors are
// joined, so that the kernel has few and long ones; it is nil where nothing moves.
func permutation(x *tensor.Tensor, axes []int) (k *kernels.Permute, shape []int) {
	strides := make([]int, x.Rank())
	stride := 1
	for i := x.Rank() - 1; i >= 0; i-- {
		strides[i] = stride
		stride *= x.Dim(i)
	}
	var dims, steps [6]int
	n := 0
	for _, a := range axes {
		size, step := x.Dim(a), strides[a]
		shape = append(shape, size)
		switch {
		case size == 1:
		case n > 0 && steps[n-1] == size*step:
			dims[n-1], steps[n-1] = dims[n-1]*size, step
		case n == len(dims):
			tensor.Panicf("permute", "axes %v of %s: more than %d groups of dimensions move", axes, x, len(dims))
		default:
			dims[n], steps[n] = size, step
			n++
		}
	}
	if n <= 1 {
		return nil, shape
	}
	k = &kernels.Permute{D0: 1, D1: 1, D2: 1, D3: 1, D4: dims[n-2], D5: dims[n-1], S4: steps[n-2], S5: steps[n-1]}
	for i, at := range []struct{ d, s *int }{{&k.D3, &k.S3}, {&k.D2, &k.S2}, {&k.D1, &k.S1}, {&k.D0, &k.S0}} {
		if j := n - 3 - i; j >= 0 {
			*at.d, *at.s = dims[j], steps[j]
		}
	}
	return k, shape
}

func (permute) Examples() []autograd.Example {
	example := func(name string, shape []int, axes ...int) autograd.Example {
		return autograd.Example{
			Name: name, In: normal(autograd.Activation, shape),
			Call: call(func(in []*Var) *Var { return Permute(in[0], axes...) }),
		}
	}
	large := example("large", []int{4, 512, 32, 64}, 0, 2, 1, 3)
	large.Large = true
	return []autograd.Example{
		example("heads", []int{2, 3, 5, 7}, 0, 2, 1, 3),
		example("matrix", []int{37, 67}, 1, 0),
		example("batch of matrices", []int{3, 17, 33}, 0, 2, 1),
		example("in a circle", []int{2, 3, 5}, 1, 2, 0),
		example("first and last", []int{5, 3, 37}, 2, 1, 0),
		example("all reversed", []int{2, 3, 2, 5, 2, 3}, 5, 4, 3, 2, 1, 0),
		example("only ones move", []int{1, 5, 1, 3}, 1, 0, -1, 2),
		{Name: "transpose", In: normal(autograd.Activation, []int{5, 2, 3}),
			Call: call(func(in []*Var) *Var { return Transpose(in[0], 0, -1) })},
		large,
	}
}
