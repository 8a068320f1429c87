package ops

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Linears is Linear of several weights, without bias, that see the same x. Of a single row those that lie one behind the
// other in memory (tensor.Joined) are one product, whose parts the results are: with the same bits.
func Linears(x *Var, weights ...*Var) []*Var {
	in := []*Var{x}
	for _, w := range weights {
		checkLinear("linears", x, w, nil)
		in = append(in, w)
	}
	return autograd.Apply(linears{}, in...)
}

type linears struct{}

func (l linears) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	return l.products(f.Device, f.In[0], f.In[1:]), nil
}

// products are those of x and each weight.
func (linears) products(d *tensor.Device, x *tensor.Tensor, weights []*tensor.Tensor) (out []*tensor.Tensor) {
	shape := x.Shape()
	width := &shape[len(shape)-1]
	in := *width
	out = make([]*tensor.Tensor, 0, len(weights))
	for len(weights) > 0 {
		w, n := weights[0], 1
		if x.Numel() == in {
			w, n = joinedFirst(weights)
		}
		*width = w.Dim(0)
		y := d.New(x.DType(), shape...)
		d.Run(kernels.Matmul{Batch: 1, M: x.Numel() / in, N: w.Dim(0), K: in, TransB: true}, y, x, w, nil)
		if n == 1 {
			out = append(out, y)
		} else {
			at := 0
			for _, w := range weights[:n] {
				*width = w.Dim(0)
				out = append(out, y.View(at, shape...))
				at += w.Dim(0)
			}
		}
		weights = weights[n:]
	}
	return out
}

// joinedFirst is as many of the first weights as lie one behind the other, as one, and how many they are.
func joinedFirst(weights []*tensor.Tensor) (all *tensor.Tensor, n int) {
	for n = len(weights); n > 1; n-- {
		if all, ok := tensor.Joined(weights[:n]...); ok {
			return all, n
		}
	}
	return weights[0], 1
}

// BackwardReads implements autograd.Selective.
func (linears) BackwardReads(needs []bool) autograd.Reads {
	in := []bool{false}
	for _, need := range needs[1:] {
		in[0] = in[0] || need
		in = append(in, needs[0])
	}
	return autograd.Reads{In: in}
}

// Backward: dx = Σ dy weight, dweight = dyᵀ x of each.
func (linears) Backward(b *autograd.Backward) {
	x, dx := b.In[0], b.Grad(0)
	for i, dy := range b.DOut {
		w := b.In[1+i]
		rows, in, out := x.Numel()/w.Dim(1), w.Dim(1), w.Dim(0)
		if dx != nil {
			b.Run(kernels.Matmul{Batch: 1, M: rows, N: in, K: out, Acc: i > 0}, dx, dy, w, nil)
		}
		if dw, acc := b.WeightGrad(1 + i); dw != nil {
			b.Run(kernels.Matmul{Batch: 1, M: out, N: in, K: rows, TransA: true, Acc: acc}, dw, dy, x, nil)
		}
	}
}

func (linears) Examples() (list []autograd.Example) {
	for _, rows := range []int{1, 3} {
		list = append(list, autograd.Example{Name: fmt.Sprintf("%d rows", rows), In: []autograd.Input{
			{Shape: []int{rows, 32}},
			{Shape: []int{5, 32}, Kind: autograd.Weight},
			{Shape: []int{3, 32}, Kind: autograd.Weight},
		}, Call: func(in []*Var) []*Var { return Linears(in[0], in[1], in[2]) }})
	}
	return list
}
