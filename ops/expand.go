package ops

import (
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Expand repeats x to the given shape: its dimensions of size 1 grow to the asked
// size, and dimensions may be added in front. A size of -1 keeps x's. (Unlike
// PyTorch's, the result is a copy.)
func Expand(x *Var, shape ...int) *Var {
	added := len(shape) - x.Tensor().Rank()
	if added < 0 {
		tensor.Panicf("expand", "%s to %v: fewer dimensions", x.Tensor(), shape)
	}
	from := append(slices.Repeat([]int{1}, added), x.Shape()...)
	to := slices.Clone(shape)
	for i := range to {
		if to[i] == -1 && i >= added {
			to[i] = from[i]
		}
		if to[i] != from[i] && (from[i] != 1 || to[i] < 1) {
			tensor.Panicf("expand", "%s to %v: dimension %d is %d, want 1 or %d", x.Tensor(), shape, i, from[i],
				shape[i])
		}
	}
	if added > 0 {
		x = Reshape(x, from...)
	}
	// From the last dimension on, neighbors that grow together in one go.
	for last := len(to); last > 0; last-- {
		first := last
		for first > 0 && to[first-1] != from[first-1] {
			first--
		}
		if first == last {
			continue
		}
		shape := append(slices.Clone(from[:first]), to[first:]...)
		x = apply(expand{tensor.Numel(from[:first]), tensor.Numel(to[first:last]), tensor.Numel(to[last:]), shape}, x)
		last = first
	}
	return x
}

type expand struct {
	outer, n, inner int
	shape           []int
}

func (e expand) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	y := f.New(f.In[0].DType(), e.shape...)
	f.Run(kernels.Expand{Outer: e.outer, N: e.n, Inner: e.inner, Scale: 1}, y, f.In[0])
	return one(y), nil
}

// BackwardReads implements autograd.Selective.
func (expand) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (e expand) Backward(b *autograd.Backward) {
	dx, acc := b.OperandGrad(0)
	b.Run(kernels.Sum{Outer: e.outer, N: e.n, Inner: e.inner, Scale: 1, Acc: acc}, dx, b.DOut[0])
}

func (expand) Examples() []autograd.Example {
	example := func(name string, from []int, to ...int) autograd.Example {
		return autograd.Example{
			Name: name, In: normal(autograd.Activation, from),
			Call: call(func(in []*Var) *Var { return Expand(in[0], to...) }),
		}
	}
	return []autograd.Example{
		example("rows", []int{1, 7}, 5, -1),
		example("columns", []int{5, 1}, 5, 37),
		example("in front", []int{3, 5}, 2, 7, 3, 5),
		example("apart", []int{2, 1, 3, 1, 1}, 2, 4, 3, 5, 2),
		example("one number", []int{1}, 257),
	}
}
