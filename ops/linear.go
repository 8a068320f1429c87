package ops

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Linear is x weightᵀ + bias. x is [..., in], weight [out, in] in any storage type,
// bias [out] or nil; the result is [..., out].
func Linear(x, weight, bias *Var) *Var {
	checkLinear("linear", x, weight, bias)
	return apply(linear{}, x, weight, bias, nil)
}

// LinearPlus is plus + Linear, plus [..., out] being of x's type: without a bias in one kernel, which rounds the sum once, but for
// rows of bfloat16 that a CPU multiplies as such: their product is rounded first.
func LinearPlus(plus, x, weight, bias *Var) *Var {
	checkLinear("linear", x, weight, bias)
	checkPlus("linear", plus, x, weight)
	if bias != nil {
		return Add(plus, Linear(x, weight, bias))
	}
	return apply(linear{}, x, weight, nil, plus)
}

func checkLinear(op string, x, weight, bias *Var) {
	w := weight.Tensor()
	if w.Rank() != 2 || w.Dim(1) != x.Dim(-1) {
		tensor.Panicf(op, "weight %s for x %s: want [out, %d]", w, x.Tensor(), x.Dim(-1))
	}
	if bias != nil && !bias.Tensor().HasShape(w.Dim(0)) {
		tensor.Panicf(op, "bias %s for weight %s: want [%d]", bias.Tensor(), w, w.Dim(0))
	}
}

// checkPlus panics unless plus can be added to the result of a linear layer.
func checkPlus(op string, plus, x, weight *Var) {
	want := x.Shape()
	want[len(want)-1] = weight.Dim(0)
	if t := plus.Tensor(); !t.HasShape(want...) || t.DType() != x.Tensor().DType() {
		tensor.Panicf(op, "%s to be added: want %s %v", t, x.Tensor().DType(), want)
	}
}

type linear struct{}

func (l linear) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	return one(l.product(f.Device, f.In[0], f.In[1], f.In[2], f.In[3])), nil
}

// product is x wᵀ and bias or plus, of which one is nil at least.
func (linear) product(d *tensor.Device, x, w, bias, plus *tensor.Tensor) *tensor.Tensor {
	shape := x.Shape()
	shape[len(shape)-1] = w.Dim(0)
	y := d.New(x.DType(), shape...)
	k := kernels.Matmul{Batch: 1, M: x.Numel() / w.Dim(1), N: w.Dim(0), K: w.Dim(1), TransB: true, BiasRows: 1}
	if plus != nil {
		bias, k.BiasRows = plus, k.M
	}
	d.Run(k, y, x, w, bias)
	return y
}

// BackwardReads implements autograd.Selective.
func (linear) BackwardReads(needs []bool) autograd.Reads {
	return autograd.Reads{In: []bool{needs[1], needs[0]}}
}

// Backward: dx = dy W, dW = dyᵀ x, dbias = the sum of dy over the rows, dplus = dy.
func (l linear) Backward(b *autograd.Backward) {
	l.productGrads(b)
	b.SetGrad(3, b.DOut[0])
}

// productGrads writes all but dplus.
func (l linear) productGrads(b *autograd.Backward) {
	if dx := b.Grad(0); dx != nil {
		l.inputGrad(b.Device, dx, b.DOut[0], b.In[1])
	}
	l.weightGrads(b, 1, b.In[0], b.DOut[0])
}

// inputGrad: dx = dy w.
func (linear) inputGrad(d *tensor.Device, dx, dy, w *tensor.Tensor) {
	d.Run(kernels.Matmul{Batch: 1, M: dx.Numel() / w.Dim(1), N: w.Dim(1), K: w.Dim(0)}, dx, dy, w, nil)
}

// weightGrads writes the gradients of the weight, input at, and of the bias, the next.
func (linear) weightGrads(b *autograd.Backward, at int, x, dy *tensor.Tensor) {
	w := b.In[at]
	rows, in, out := x.Numel()/w.Dim(1), w.Dim(1), w.Dim(0)
	if dw, acc := b.WeightGrad(at); dw != nil {
		b.Run(kernels.Matmul{Batch: 1, M: out, N: in, K: rows, TransA: true, Acc: acc}, dw, dy, x, nil)
	}
	if db, acc := b.WeightGrad(at + 1); db != nil {
		b.Run(kernels.Sum{Outer: 1, N: rows, Inner: out, Scale: 1, Acc: acc}, db, dy)
	}
}

func (l linear) Examples() []autograd.Example {
	large := l.example("large", 2048, 1024, 1024, false)
	large.Large = true
	examples := []autograd.Example{
		l.example("bias", 3, 5, 7, true),
		l.example("no bias", 3, 5, 7, false),
		l.example("one row", 1, 64, 33, true),
		l.example("whole blocks", 17, 96, 35, true),
		l.example("large blocks", 19, 512, 35, true),
		l.example("a row of large blocks", 1, 768, 37, true),
		l.plusExample("plus", 19, 64, 35, false),
		l.plusExample("plus, of large blocks", 5, 512, 36, false),
		l.plusExample("plus, one row", 1, 65, 129, false),
		l.plusExample("plus, bias", 3, 5, 7, true),
		large,
	}
	for _, s := range matmulEdges() {
		e := l.example(fmt.Sprintf("%d rows, %d to %d", s.m, s.k, s.n), s.m, s.k, s.n, true)
		e.Brief = true
		examples = append(examples, e)
	}
	return examples
}

// RandomExample draws the three sizes.
func (l linear) RandomExample(r *random.Stream) autograd.Example {
	m, n, k, bias := 1+r.IntN(70), 1+r.IntN(70), 1+r.IntN(70), r.IntN(2) == 0
	return l.example(fmt.Sprintf("random %d rows, %d to %d, bias %t", m, k, n, bias), m, k, n, bias)
}

func (linear) example(name string, rows, in, out int, bias bool) autograd.Example {
	e := autograd.Example{Name: name, In: []autograd.Input{
		{Shape: []int{rows, in}},
		{Shape: []int{out, in}, Kind: autograd.Weight},
		{Kind: autograd.Weight},
	}, Call: call(func(in []*Var) *Var { return Linear(in[0], in[1], in[2]) })}
	if bias {
		e.In[2].Shape = []int{out}
	}
	return e
}

// plusExample is example with something to add to the result.
func (l linear) plusExample(name string, rows, in, out int, bias bool) autograd.Example {
	e := l.example(name, rows, in, out, bias)
	e.In = append(e.In, autograd.Input{Shape: []int{rows, out}})
	e.Call = call(func(in []*Var) *Var { return LinearPlus(in[3], in[0], in[1], in[2]) })
	return e
}
