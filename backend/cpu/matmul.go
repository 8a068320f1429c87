package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(matmul[float32], matmul[float64])
	fast(bf16Matmul)
	fast(packedMatmul)
	fast(halfMatmul)
	fast(rowMatmul)
}

// matmul: c[m, n] (+)= Σ_k op(a)[m, k] op(b)[k, n] + bias[n], or + bias[m, n], for every batch.
func matmul[F float](w *work, k kernels.Matmul, x args[F]) {
	c, a, b, bias := x.f[0], x.f[1], x.f[2], x.f[3]
	am, ak, bk, bn := k.K, 1, k.N, 1 // strides
	if k.TransA {
		am, ak = 1, k.M
	}
	if k.TransB {
		bk, bn = 1, k.K
	}
	w.team.Rows(k.Batch*k.M, 1, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			batch, m := r/k.M, r%k.M
			for n := range k.N {
				s := F(0)
				for i := range k.K {
					s += a[batch*k.M*k.K+m*am+i*ak] * b[batch*k.K*k.N+i*bk+n*bn]
				}
				switch {
				case bias != nil && k.BiasRows > 1:
					s += bias[r*k.N+n]
				case bias != nil:
					s += bias[n]
				}
				if k.Acc {
					s += c[r*k.N+n]
				}
				c[r*k.N+n] = s
			}
		}
	})
}

// manyProducts is the number of multiplications below which the products of a batch
// are handed out whole, one to a worker.
const manyProducts = 256 * 256 * 256

// packedMatmul is package gemm's product: c and a in f32, b in f32, 16 bits or blocks.
func packedMatmul(w *work, k kernels.Matmul, x []tensor.Arg) bool {
	c, a, b, bias := x[0], x[1], x[2], x[3]
	if c.DType != tensor.F32 || a.DType != tensor.F32 || !atMost32Bits(x) {
		return false
	}
	acc := k.Acc
	if !bias.IsNil() {
		addBias(w, k, f32s(c), bias)
		acc = true
	}
	lda, ldb := k.K, k.N
	if k.TransA {
		lda = k.M
	}
	if k.TransB {
		ldb = k.K
	}
	p := oneOfBatch{k, c, a, b, max(1, lda), max(1, ldb), acc}
	if k.Batch > 1 && k.M*k.N*k.K <= manyProducts {
		p.each(w)
		return true
	}
	for i := range k.Batch {
		p.run(w.gemm, i)
	}
	return true
}

// halfMatmul is package gemm's product where a or c is in 16 bits, and bits are those of float32: what bf16Matmul does not cover.
func halfMatmul(w *work, k kernels.Matmul, x []tensor.Arg) bool {
	c, a, b, bias := x[0], x[1], x[2], x[3]
	if !inHalfRows(k, x) || !atMost32Bits(x) {
		return false
	}
	lda, ldb := k.K, k.N
	if k.TransA {
		lda = k.M
	}
	if k.TransB {
		ldb = k.K
	}
	product := func(i int, by func(transA, transB bool, m, n, k int, a, b, c, plus gemm.Matrix, acc bool) bool) bool {
		var plus gemm.Matrix
		switch {
		case bias.IsNil():
		case k.BiasRows > 1:
			plus = matrix(bias, i*k.M*k.N, k.N)
		default:
			plus = matrix(bias, 0, 0)
		}
		return by(k.TransA, k.TransB, k.M, k.N, k.K, matrix(a, i*k.M*k.K, lda), matrix(b, i*k.K*k.N, ldb),
			matrix(c, i*k.M*k.N, k.N), plus, k.Acc)
	}
	if k.Batch > 1 && k.M*k.N*k.K <= manyProducts {
		if !product(0, w.scratch[0].gemm.SgemmHalf) { // what it covers is the same for all of a batch
			return false
		}
		w.team.Run(k.Batch-1, func(worker, i int) { product(i+1, w.scratch[worker].gemm.SgemmHalf) })
		return true
	}
	for i := range k.Batch {
		if !product(i, w.gemm.SgemmHalf) {
			return false
		}
	}
	return k.Batch > 0
}

// inHalfRows reports whether a product is what halfMatmul takes, if package gemm does: with a bias, or a residual, of results
// in 16 bits alone.
func inHalfRows(k kernels.Matmul, x []tensor.Arg) bool {
	c, a, bias := x[0], x[1], x[3]
	return (c.DType.Is16Bit() || a.DType.Is16Bit()) && k.M > 1 && k.N > 1 && k.K > 0 &&
		(bias.IsNil() || c.DType.Is16Bit() && !bias.DType.IsQuantized())
}

// rowMatmul is the product of a single row in 16 bits, of which generating consists: it is widened once, and every task rounds
// its part of the result. What is added to a bias, which a residual is, or to what is there, and what is computed in integers, is
// rounded when all sums are there.
func rowMatmul(w *work, k kernels.Matmul, x []tensor.Arg) bool {
	c, a, b, bias := x[0], x[1], x[2], x[3]
	if k.Batch*k.M != 1 || k.K == 0 || !c.DType.Is16Bit() || !atMost32Bits(x) {
		return false
	}
	ldb := k.N
	if k.TransB {
		ldb = k.K
	}
	weight := matrix(b, 0, max(1, ldb))
	row := w.shared.load(a, 0, k.K)
	defer w.shared.flush()
	adds := k.Acc || !bias.IsNil()
	if !adds && w.gemm.SgemmRow(k.TransB, k.N, k.K, row, weight, matrix(c, 0, k.N)) {
		return true
	}
	sums := w.shared.store(c, 0, k.N)
	switch {
	case k.Acc && !bias.IsNil():
		w.shared.loadInto(sums, c, 0)
		vec.Add(sums, sums, w.shared.load(bias, 0, k.N))
	case k.Acc:
		w.shared.loadInto(sums, c, 0)
	case adds:
		w.shared.loadInto(sums, bias, 0)
	}
	w.gemm.Sgemm(false, k.TransB, 1, k.N, k.K, row, k.K, weight, sums, k.N, adds)
	return true
}

// oneOfBatch is packedMatmul's product of any of a batch's matrices.
type oneOfBatch struct {
	kernels.Matmul
	c, a, b  tensor.Arg
	lda, ldb int
	acc      bool
}

// An sgemmer is an engine or a workspace.
type sgemmer interface {
	Sgemm(transA, transB bool, m, n, k int, a []float32, lda int, b gemm.Matrix, c []float32, ldc int, acc bool)
}

func (p *oneOfBatch) run(by sgemmer, i int) {
	by.Sgemm(p.TransA, p.TransB, p.M, p.N, p.K, f32s(p.a)[i*p.M*p.K:], p.lda, matrix(p.b, i*p.K*p.N, p.ldb),
		f32s(p.c)[i*p.M*p.N:], max(1, p.N), p.acc)
}

// each hands the products out whole, one to a worker. The copy is what its closure holds.
func (p oneOfBatch) each(w *work) {
	w.team.Run(p.Batch, func(worker, i int) { p.run(&w.scratch[worker].gemm, i) })
}

// bf16Matmul is package gemm's product of bfloat16 matrices, where the processor has one. Where the result
// is bfloat16, a may be f32 and is rounded, as the result is: the gradient of logits is so. b, which may be a
// weight, is never rounded.
func bf16Matmul(w *work, k kernels.Matmul, x []tensor.Arg) bool {
	if !inBF16(k, x) {
		return false
	}
	c, a, b, bias := x[0], x[1], x[2], x[3]
	lda, ldb := k.K, k.N
	if k.TransA {
		lda = k.M
	}
	if k.TransB {
		ldb = k.K
	}
	product := func(i int, bgemm func(transA, transB bool, m, n, k int, alpha float32, a, b, c gemm.Matrix,
		acc bool) bool) bool {
		return bgemm(k.TransA, k.TransB, k.M, k.N, k.K, 1, matrix(a, i*k.M*k.K, max(1, lda)),
			matrix(b, i*k.K*k.N, max(1, ldb)), matrix(c, i*k.M*k.N, max(1, k.N)), k.Acc)
	}
	if k.Batch == 0 || !product(0, w.gemm.Bgemm) { // what it covers is the same for all of a batch
		return false
	}
	if k.M*k.N*k.K <= manyProducts {
		w.team.Run(k.Batch-1, func(worker, i int) { product(i+1, w.scratch[worker].gemm.Bgemm) })
	} else {
		for i := 1; i < k.Batch; i++ {
			product(i, w.gemm.Bgemm)
		}
	}
	if !bias.IsNil() {
		vectorEach(w, c.N, c.N, []tensor.Arg{c, c, bias}, vec.Add)
	}
	return true
}

// inBF16 reports whether a product's operands are what bf16Matmul takes: a bias would be rounded twice, as it is where it
// is as large as the result, which is a residual.
func inBF16(k kernels.Matmul, x []tensor.Arg) bool {
	c, a, b, bias := x[0], x[1], x[2], x[3]
	if b.DType != tensor.BF16 || !bias.IsNil() && (k.BiasRows < 2 || bias.DType != c.DType) {
		return false
	}
	return a.DType == tensor.BF16 && (c.DType == tensor.BF16 || c.DType == tensor.F32) ||
		a.DType == tensor.F32 && c.DType == tensor.BF16
}

// addBias: c (+)= bias in every row, or one of its own in each.
func addBias(w *work, k kernels.Matmul, c []float32, bias tensor.Arg) {
	put := func(to, row []float32) {
		if k.Acc {
			vec.Add(to, to, row)
		} else {
			copy(to, row)
		}
	}
	if k.BiasRows > 1 {
		w.blocks(len(c), func(s *scratch, lo, hi int) { put(c[lo:hi], s.load(bias, lo, hi)) })
		return
	}
	row := w.shared.load(bias, 0, k.N)
	w.team.Rows(k.Batch*k.M, max(1, grain/max(1, k.N)), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			put(c[r*k.N:(r+1)*k.N], row)
		}
	})
	w.shared.flush()
}

// matrix is an argument from element from on, as package gemm takes it.
func matrix(x tensor.Arg, from, ld int) gemm.Matrix {
	switch x.DType {
	case tensor.F16:
		return gemm.F16(elements[uint16](x)[from:], ld)
	case tensor.BF16:
		return gemm.BF16(elements[uint16](x)[from:], ld)
	case tensor.F32:
		return gemm.F32(f32s(x)[from:], ld)
	}
	return gemm.Blocks(gemm.BlockType(blockType(x.DType)), blocksOf(x, from, x.N), ld)
}
