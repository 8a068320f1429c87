package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/quant"
)

// Quantized matrices are widened, a piece that stays in the cache at a time, to float32
// in a worker's own memory, and go on from there like any float32 matrix: a product has
// the bits that it has with the widened matrix.

// Q8 is a matrix of GGML's Q8_0 blocks; ld counts elements, a multiple of 32.
func Q8(data []byte, ld int) Matrix { return blockMatrix(formatQ8, data, ld) }

// Q4 is a matrix of GGML's Q4_0 blocks; ld counts elements, a multiple of 32.
func Q4(data []byte, ld int) Matrix { return blockMatrix(formatQ4, data, ld) }

func blockMatrix(f format, data []byte, ld int) Matrix {
	return Matrix{f, unsafe.Pointer(unsafe.SliceData(data)), len(data) / f.blockBytes() * quant.Len, ld}
}

// inBlocks reports whether the format is quantized.
func (f format) inBlocks() bool { return f >= formatQ8 }

func (f format) blockBytes() int {
	if f == formatQ8 {
		return quant.Q8Bytes
	}
	return quant.Q4Bytes
}

// decode widens whole blocks.
func (f format) decode(dst []float32, src unsafe.Pointer) {
	blocks := unsafe.Slice((*byte)(src), len(dst)/quant.Len*f.blockBytes())
	if f == formatQ8 {
		vec.FromQ8(dst, blocks)
	} else {
		vec.FromQ4(dst, blocks)
	}
}

// block is the address of the block that element i is in.
func (b *Matrix) block(i int) unsafe.Pointer {
	return unsafe.Add(b.data, i/quant.Len*b.format.blockBytes())
}

// widened is rows [i, i+rows) of a quantized matrix from element j on, n of each, as a
// float32 matrix that begins there. It lives until the next call.
//
//go:noinline
func (w *Workspace) widened(b *Matrix, i, rows, j, n int) Matrix {
	from, to := j/quant.Len*quant.Len, roundUp(j+n, quant.Len)
	ld := to - from
	w.wide = grow(w.wide, rows*ld)
	for r := range rows {
		b.format.decode(w.wide[r*ld:(r+1)*ld], b.block((i+r)*b.ld+from))
	}
	return F32(w.wide[j-from:], ld)
}

// widenedRows is the most rows of an untransposed matrix that are widened at a time:
// beside a strip's width, some 32 KiB.
const widenedRows = 32

// packBlocks is packB for a quantized matrix.
func (w *Workspace) packBlocks(s packedStrip, b *Matrix, trans bool, k0, k, j0, n int) {
	if trans { // panel by panel
		for p := 0; p < n; p += w.kernel.cols {
			cols := min(w.kernel.cols, n-p)
			m := w.widened(b, j0+p, cols, k0, k)
			part := s
			part.full, part.rest = cols/w.kernel.cols, cols%w.kernel.cols
			if part.full > 0 {
				part.data = unsafe.Add(s.data, p/w.kernel.cols*s.step)
			}
			w.packB(part, &m, true, 0, k, 0, cols)
		}
		return
	}
	for i := 0; i < k; i += widenedRows {
		rows := min(widenedRows, k-i)
		m := w.widened(b, k0+i, rows, j0, n)
		w.packB(s.from(i), &m, false, 0, rows, 0, n)
	}
}
