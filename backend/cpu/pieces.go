package cpu

import (
	"fmt"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Products with rows or a result in 16 bits that package gemm does not take as they are (halfMatmul) are widened before: those
// computed in integers (Options.RoundActivations) or by parts (MatmulPrecision High), for which rows are float32. It is done some
// rows at a time: as a whole, the two would take several times the memory of a block's activations. A row's sums do not depend on
// how many others there are, if there are any, so that the bits are those of the whole product.

// pieceBytes (a variable for tests) is about what the widened rows of a piece have; pieceRows is the least of them, so
// that a weight in blocks is not widened too often.
var pieceBytes = 16 << 20

const pieceRows = 128

// rowsOfPiece is how many rows of the product of these operands are computed at a time: all of them where nothing is
// widened, or where a's rows do not lie together.
func rowsOfPiece(m kernels.Matmul, c, a tensor.DType) int {
	bytes := 0
	if c.Is16Bit() {
		bytes += 4 * m.N
	}
	if a.Is16Bit() {
		bytes += 4 * m.K
	}
	if bytes == 0 || m.TransA {
		return m.M
	}
	rows := max(pieceRows, pieceBytes/bytes)
	if rows >= m.M {
		return m.M
	}
	pieces := (m.M + rows - 1) / rows
	rows = (m.M + pieces - 1) / pieces
	for m.M%rows == 1 {
		rows++ // one is multiplied in another order
	}
	return rows
}

// runPieces is runWidened for such a product, and for one that adds a residual; false: it is computed as a whole.
func (b *backend) runPieces(k tensor.Kernel, x []tensor.Arg) bool {
	m, ok := k.(kernels.Matmul)
	if !ok || b.work.plain || !atMost32Bits(x) {
		return false
	}
	bias, residual := x[3], m.BiasRows > 1 && !x[3].IsNil()
	rows := rowsOfPiece(m, x[0].DType, x[1].DType)
	if rows == m.M && (!residual || m.TransA) {
		return false
	}
	for i := range m.Batch {
		weight := part(x[2], i*m.K*m.N, m.K*m.N)
		for from := 0; from < m.M; from += rows {
			piece := m
			piece.Batch, piece.M = 1, min(rows, m.M-from)
			c := part(x[0], (i*m.M+from)*m.N, piece.M*m.N)
			a := part(x[1], (i*m.M+from)*m.K, piece.M*m.K)
			if residual { // which is never widened as a whole
				piece.BiasRows, bias = piece.M, part(x[3], (i*m.M+from)*m.N, piece.M*m.N)
			}
			wideC, wideA := b.widened(0, c, m.Acc), b.widened(1, a, true)
			if b.err != nil {
				b.err = fmt.Errorf("cpu: widening an argument of %s: %w", k.Name(), b.err)
				return true
			}
			packedMatmul(&b.work, piece, []tensor.Arg{wideC, wideA, weight, bias})
			if c.DType.Is16Bit() {
				narrow(&b.work, c, f32s(wideC))
			}
		}
	}
	return true
}

// widened is an argument in f32: itself, or the wide buffer of its place, with what it holds if that is read.
func (b *backend) widened(place int, x tensor.Arg, read bool) tensor.Arg {
	if x.DType == tensor.F32 || b.err != nil {
		return x
	}
	wide := b.wideBuffer(place, x.N)
	if b.err == nil && read {
		widen(&b.work, f32s(wide), x)
	}
	return wide
}

// part is n elements of an argument from one on.
func part(x tensor.Arg, from, n int) tensor.Arg {
	x.Offset, x.N = x.Offset+x.DType.Bytes(from), n
	return x
}
