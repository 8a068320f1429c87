package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
)

// Products with A or C in 16 bits are those of float32. A task widens the rows of A that it is about to read, as many as stay
// in the cache, or, where strips are many (newCut), all tasks read panels of A in float32, of at most sharedLimit at a time. Sums
// stay in float32 until they are rounded, once: those of a tile, of a task's rows, or, where panels have not all of k, of C. The
// bits are those of the product of the widened matrices.

// SgemmHalf is Sgemm for A and C in float32 or 16 bits, each in its own. plus, unless it is the zero Matrix, is added to C, [m, n]
// in float32 or 16 bits, or one row of n for all if its stride is 0; then C is in 16 bits, and with acc plus is added first. It
// reports whether it did so: not for single rows and columns, nor for an A that is to be rounded to fewer bits or split, nor a
// transposed one for which the kernel has no packer. Then it has written nothing.
func (e *Engine) SgemmHalf(transA, transB bool, m, n, k int, a, b, c, plus Matrix, acc bool) bool {
	p := newHalfProduct(transA, transB, m, n, k, a, b, c, plus, acc)
	asked := p
	asked.a.format = formatF32 // as Sgemm would see it
	if !p.widens(e.kernel) || e.ByParts && p.byParts() || e.inIntegers(&asked) {
		return false
	}
	e.run(p)
	return true
}

// SgemmHalf is Engine.SgemmHalf on this goroutine.
func (w *Workspace) SgemmHalf(transA, transB bool, m, n, k int, a, b, c, plus Matrix, acc bool) bool {
	if w.kernel == nil {
		w.kernel = &kernels[0]
	}
	p := newHalfProduct(transA, transB, m, n, k, a, b, c, plus, acc)
	if !p.widens(w.kernel) || w.ByParts && p.byParts() {
		return false
	}
	w.run(p)
	return true
}

// newHalfProduct panics as newProduct does.
func newHalfProduct(transA, transB bool, m, n, k int, a, b, c, plus Matrix, acc bool) product {
	p := checkedProduct(transA, transB, m, n, k, 1, a, b, c, acc)
	if plus.data == nil {
		return p
	}
	whole := plus
	if plus.ld == 0 {
		whole.ld, m = n, 1
	}
	if fault := whole.fault("what is added", m, n, false); fault != "" {
		panic("gemm: " + fault)
	}
	if !p.rounded() || plus.format.inBlocks() {
		panic("gemm: a matrix is added to a C that is not in 16 bits, or it is in blocks")
	}
	p.plus = plus
	return p
}

// widens reports whether a kernel computes this product: any whose operands are float32, too.
func (p *product) widens(kn *kernel) bool {
	if p.m < 2 || p.n < 2 || p.k == 0 || p.a.format.inBlocks() || p.to.inBlocks() {
		return false
	}
	return !p.transA || kn.rowsA[p.a.format] != nil
}

// HalfBytes is SharedBytes for SgemmHalf with an A, or a C, in 16 bits; false: it does not compute this.
func HalfBytes(threads int, transA, halfA, halfC bool, m, n, k int) (int, bool) {
	p := product{transA: transA, m: m, n: n, k: k}
	if halfA {
		p.a.format = formatBF16
	}
	if halfC {
		p.to = formatBF16
	}
	if !p.widens(&kernels[0]) {
		return 0, false
	}
	return p.bytes(threads, &kernels[0]), true
}

// widened16 puts rows [i, i+rows) and columns [j, j+n) of a matrix in 16 bits into the workspace's memory, ld apart.
func (w *Workspace) widened16(b *Matrix, i, rows, j, n, ld int) Matrix {
	w.wide = grow(w.wide, rows*ld)
	for r := range rows {
		from := unsafe.Slice((*uint16)(b.at((i+r)*b.ld+j)), n)
		b.format.widen16(w.wide[r*ld:][:n], from)
	}
	return F32(w.wide, ld)
}

// offWays is a stride of rows of n float32, begun at lines of the cache, that is no multiple of waySize.
func offWays(n int) int { return roundUp(n, 16) + 16 }

// widen16 and round16 convert rows in a format of 16 bits.
func (f format) widen16(dst []float32, src []uint16) {
	if f == formatF16 {
		vec.FromF16(dst, src)
		return
	}
	vec.FromBF16(dst, src)
}

// widenTo is widen16 for any of these formats, and float32.
func (f format) widenTo(dst []float32, src unsafe.Pointer) {
	if f == formatF32 {
		copy(dst, unsafe.Slice((*float32)(src), len(dst)))
		return
	}
	f.widen16(dst, unsafe.Slice((*uint16)(src), len(dst)))
}

func (f format) round16(dst []uint16, src []float32) {
	switch {
	case f == formatF16:
		vec.ToF16(dst, src)
	case f == formatPairs && len(src) > 0:
		roundRow(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(src))
	default:
		vec.ToBF16(dst, src)
	}
}
