package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/quant"
)

// Quantized matrices are widened, a piece that stays in the cache at a time, to float32
// in a worker's own memory, and go on from there like any float32 matrix: a product has
// the bits that it has with the widened matrix.

// BlockType is a kind of blocks.
type BlockType uint8

// The kinds: GGML's by its names, then those of other programs' folders.
const (
	Q8_0   = BlockType(quant.Q8_0)
	Q4_0   = BlockType(quant.Q4_0)
	Q4_1   = BlockType(quant.Q4_1)
	Q5_0   = BlockType(quant.Q5_0)
	Q5_1   = BlockType(quant.Q5_1)
	IQ4_NL = BlockType(quant.IQ4_NL)
	Q4_K   = BlockType(quant.Q4_K)
	Q5_K   = BlockType(quant.Q5_K)
	Q6_K   = BlockType(quant.Q6_K)
	NF4    = BlockType(quant.NF4)
	FP4    = BlockType(quant.FP4)
	FP8    = BlockType(quant.FP8)
	U4     = BlockType(quant.U4)
)

// Blocks is a matrix of blocks of a kind; ld counts elements, a multiple of a block's.
func Blocks(kind BlockType, data []byte, ld int) Matrix {
	t := quant.Type(kind)
	n := len(data) / t.Bytes(t.Len()) * t.Len()
	return Matrix{formatBlocks + format(t), unsafe.Pointer(unsafe.SliceData(data)), n, ld}
}

// inBlocks reports whether the format is quantized.
func (f format) inBlocks() bool { return f >= formatBlocks }

// blocks is the kind of a quantized format's blocks.
func (f format) blocks() quant.Type { return quant.Type(f - formatBlocks) }

// decode widens whole blocks.
func (f format) decode(dst []float32, src unsafe.Pointer) {
	t := f.blocks()
	vec.FromBlocks(t, dst, unsafe.Slice((*byte)(src), t.Bytes(len(dst))))
}

// block is the address of the block that element i is in.
func (b *Matrix) block(i int) unsafe.Pointer {
	return unsafe.Add(b.data, b.format.blocks().Bytes(i))
}

// widened is rows [i, i+rows) of a matrix that is not float32 from element j on, n of each, as a
// float32 matrix that begins there. It lives until the next call.
//
//go:noinline
func (w *Workspace) widened(b *Matrix, i, rows, j, n int) Matrix {
	if !b.format.inBlocks() {
		return w.widened16(b, i, rows, j, n, n)
	}
	length := b.format.blocks().Len()
	from, to := j/length*length, roundUp(j+n, length)
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
