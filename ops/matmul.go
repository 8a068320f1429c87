package ops

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// MatMul is op(a) op(b), op being the transpose of the last two dimensions where
// asked for. a is [..., m, k], b [..., k, n], with the same leading dimensions; or b
// is one matrix [k, n] for all of an untransposed a. The result is [..., m, n].
func MatMul(a, b *Var, transA, transB bool) *Var {
	return apply(matmul{transA, transB}, a, b)
}

type matmul struct{ transA, transB bool }

// sizes gives the kernel call of a product of a and b, and the result's shape.
func (m matmul) sizes(a, b *tensor.Tensor) (k kernels.Matmul, shape []int) {
	if a.Rank() < 2 || b.Rank() < 2 {
		tensor.Panicf("matmul", "%s and %s: want at least two dimensions each", a, b)
	}
	k = kernels.Matmul{Batch: 1, M: a.Dim(-2), K: a.Dim(-1), N: b.Dim(-1), TransA: m.transA, TransB: m.transB}
	kb := b.Dim(-2)
	if m.transA {
		k.M, k.K = k.K, k.M
	}
	if m.transB {
		k.N, kb = kb, k.N
	}
	lead, leadB := a.Shape()[:a.Rank()-2], b.Shape()[:b.Rank()-2]
	shape = append(append([]int{}, lead...), k.M, k.N)
	switch {
	case len(leadB) == 0 && !m.transA:
		k.M *= tensor.Numel(lead)
	case tensor.Numel(lead) == tensor.Numel(leadB) && len(lead) == len(leadB):
		k.Batch = tensor.Numel(lead)
	default:
		kb = -1
	}
	if kb != k.K {
		tensor.Panicf("matmul", "%s and %s with transposes %t, %t do not fit", a, b, m.transA, m.transB)
	}
	return k, shape
}

func (m matmul) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	k, shape := m.sizes(f.In[0], f.In[1])
	c := f.New(f.In[0].DType(), shape...)
	f.Run(k, c, f.In[0], f.In[1], nil)
	return one(c), nil
}

// Backward: with C = A B, dA = dC Bᵀ and dB = Aᵀ dC; transposed operands swap roles.
// BackwardReads implements autograd.Selective.
func (matmul) BackwardReads(needs []bool) autograd.Reads {
	return autograd.Reads{In: []bool{needs[1], needs[0]}}
}

func (m matmul) Backward(b *autograd.Backward) {
	k, _ := m.sizes(b.In[0], b.In[1])
	x, y, d := b.In[0], b.In[1], b.DOut[0]
	if da := b.Grad(0); da != nil {
		if m.transA { // A is [k, m]: dA = op(B) dCᵀ
			b.Run(kernels.Matmul{Batch: k.Batch, M: k.K, N: k.M, K: k.N, TransA: m.transB, TransB: true}, da, y, d, nil)
		} else {
			b.Run(kernels.Matmul{Batch: k.Batch, M: k.M, N: k.K, K: k.N, TransB: !m.transB}, da, d, y, nil)
		}
	}
	if db, acc := b.OperandGrad(1); db != nil {
		if m.transB { // B is [n, k]: dB = dCᵀ op(A)
			b.Run(kernels.Matmul{Batch: k.Batch, M: k.N, N: k.K, K: k.M, TransA: true, TransB: m.transA, Acc: acc}, db,
				d, x, nil)
		} else {
			b.Run(kernels.Matmul{Batch: k.Batch, M: k.K, N: k.N, K: k.M, TransA: !m.transA, Acc: acc}, db, x, d, nil)
		}
	}
}

func (matmul) Examples() []autograd.Example {
	var examples []autograd.Example
	for i := range 4 {
		ta, tb := i&1 != 0, i&2 != 0
		examples = append(examples, matmulExample(fmt.Sprintf("batched, transposed %t %t", ta, tb), 2, 3, 7, 5, ta, tb))
	}
	one := call(func(in []*Var) *Var { return MatMul(in[0], in[1], false, false) })
	examples = append(examples, autograd.Example{Name: "one matrix for all",
		In: normal(autograd.Activation, []int{2, 3, 5}, []int{5, 7}), Call: one})
	for i, s := range matmulEdges() {
		ta, tb := i&1 != 0, i&2 != 0
		e := matmulExample(fmt.Sprintf("%d x %d x %d, transposed %t %t", s.m, s.n, s.k, ta, tb), 1, s.m, s.n, s.k, ta,
			tb)
		e.Brief = true
		examples = append(examples, e)
	}
	large := matmulExample("large", 1, 1024, 1024, 1024, false, false)
	large.Large = true
	return append(examples, large)
}

// RandomExample draws sizes and transposes.
func (matmul) RandomExample(r *random.Stream) autograd.Example {
	batch, m, n, k, ta, tb := 1+r.IntN(3), 1+r.IntN(50), 1+r.IntN(50), 1+r.IntN(50), r.IntN(2) == 0, r.IntN(2) == 0
	return matmulExample(fmt.Sprintf("random %d of %d x %d x %d, transposed %t %t", batch, m, n, k, ta, tb), batch, m,
		n, k, ta, tb)
}

func matmulExample(name string, batch, m, n, k int, transA, transB bool) autograd.Example {
	a, b := []int{batch, m, k}, []int{batch, k, n}
	if transA {
		a[1], a[2] = k, m
	}
	if transB {
		b[1], b[2] = n, k
	}
	return autograd.Example{
		Name: name, In: normal(autograd.Activation, a, b),
		Call: call(func(in []*Var) *Var { return MatMul(in[0], in[1], transA, transB) }),
	}
}

type matmulSize struct{ m, n, k int }

// matmulEdges are products with one dimension after the other at the edges of the
// shader's tile and of the CPU's, 6 x 16, and with all three there.
func matmulEdges() []matmulSize {
	bm, bn := tileSize("matmul", "bm"), tileSize("matmul", "bn")
	var sizes []matmulSize
	for _, m := range edges(6, bm) {
		sizes = append(sizes, matmulSize{m, 19, 23})
	}
	for _, n := range edges(16, bn) {
		sizes = append(sizes, matmulSize{13, n, 23})
	}
	for _, k := range edges(bm) {
		sizes = append(sizes, matmulSize{13, 19, k})
	}
	for d := range 3 {
		sizes = append(sizes, matmulSize{bm - 1 + d, bn - 1 + d, bm - 1 + d})
	}
	return sizes
}
