package gemm

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// BLAS is gonum's float32 implementation with Sgemm replaced by an engine's:
//
//	blas32.Use(gemm.BLAS{Engine: gemm.New(0)})
//
// Unlike the reference, which skips zeros of A, it multiplies them: 0 times
// infinity or NaN is NaN.
type BLAS struct {
	gonum.Implementation
	Engine *Engine
}

var _ blas.Float32Level3 = BLAS{}

// Sgemm computes C = alpha op(A) op(B) + beta C, with the panics of gonum's Sgemm.
// C is not read if beta is zero, A and B are not if alpha is.
func (s BLAS) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int,
	beta float32, c []float32, ldc int) {
	transA, transB := tA != blas.NoTrans, tB != blas.NoTrans
	if !valid(tA) || !valid(tB) || m <= 0 || n <= 0 || k <= 0 || alpha == 0 ||
		F32(a, lda).fault("A", m, k, transA) != "" || F32(b, ldb).fault("B", k, n, transB) != "" ||
		F32(c, ldc).fault("C", m, n, false) != "" {
		// Nothing to multiply: the checks, panics and scaling of C are gonum's.
		s.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	if beta != 0 && beta != 1 {
		for i := range m {
			row := c[i*ldc:][:n]
			for j := range row {
				row[j] *= beta
			}
		}
	}
	s.Engine.run(newProduct(transA, transB, m, n, k, alpha, a, lda, F32(b, ldb), c, ldc, beta != 0))
}

func valid(t blas.Transpose) bool {
	return t == blas.NoTrans || t == blas.Trans || t == blas.ConjTrans
}
