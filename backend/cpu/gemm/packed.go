package gemm

import (
	"fmt"
	"slices"
	"unsafe"
)

// Packed is a right operand that is packed once for products with many left ones, of every worker, at the same time: in
// bfloat16 by Workspace.Pack for Workspace.Times, rows and columns made up to multiples of Whole, rows by zeros; in
// float32 by PackF32 for TimesColumns and TimesSteps.
type Packed struct {
	k, n  int // rows, or pairs of them, and columns
	words []float32
}

// Whole is a size of which every kernel of pairs has whole tiles.
const Whole = 32

// PackedWords is the memory that [k, n] numbers need packed, in float32.
func PackedWords(k, n int) int { return roundUp(k, Whole) / 2 * roundUp(n, Whole) }

// PacksBF16 reports whether Pack and Times multiply here, rows of k numbers: HasBF16, and k is as Bgemm wants it.
func PacksBF16(k int) bool { return k > 0 && multipliesAlong(k) }

// strip is the first n columns, as a product reads them or Pack writes them.
func (b *Packed) strip(kn *kernel, n int) packedStrip {
	s := kn.layout(unsafe.Pointer(unsafe.SliceData(b.words)), 4*b.k*kn.cols, b.n)
	s.full, s.rest = n/kn.cols, n%kn.cols
	if s.rest > 0 {
		s.tail, s.tails, s.ahead, s.tbs = unsafe.Add(s.data, s.full*s.step), kn.full, kn.aheadFull, s.bs
	}
	return s
}

// Pack packs op(B), [k, n], in memory of PackedWords. A B that is transposed has rows for which PacksBF16 holds, and
// begins them that far apart; otherwise k is any. Columns from n on are undefined.
func (w *Workspace) Pack(memory []float32, trans bool, k, n int, b Matrix) Packed {
	if b.format != formatBF16 {
		panic("gemm: B is not in bfloat16")
	}
	if fault := b.fault("B", k, n, trans); fault != "" {
		panic("gemm: " + fault)
	}
	if trans && (!multipliesAlong(k) || b.ld%2 != 0) {
		panic(fmt.Sprintf("gemm: transposed B has rows of %d, %d apart", k, b.ld))
	}
	p := w.ofPairs()
	to := Packed{roundUp(k, Whole) / 2, roundUp(n, Whole), memory[:PackedWords(k, n)]}
	s, pairs := to.strip(p.kernel, n), b.pairs(trans)
	if from := k / 2 &^ 1 * p.kernel.cols; k%Whole != 0 { // what rows are made up by, and the step that an odd one shares
		for panel := range slices.Chunk(to.words, s.step/4) {
			clear(panel[from:])
		}
	}
	whole := k - k%p.kernel.along()
	if whole > 0 {
		p.packB(s, &pairs, trans, 0, whole/2, 0, n)
	}
	for i := whole; i < k; i++ { // not transposed
		for j := range n {
			at := j/p.kernel.cols*s.step + p.kernel.place(i/2, j%p.kernel.cols, p.kernel.cols) + 2*(i%2)
			*(*uint16)(unsafe.Add(s.data, at)) = *(*uint16)(b.at(i*b.ld + j))
		}
	}
	return to
}

// Times is C [m, n] (+)= A [m, k] times the first k rows and n columns of B, k a multiple of Whole: A has bfloat16 in rows
// lda apart, an even number, C float32. Sums are Bgemm's.
func (w *Workspace) Times(m, n, k int, a []uint16, lda int, b *Packed, c []float32, ldc int, acc bool) {
	ma, mc := BF16(a, lda), F32(c, ldc)
	for _, fault := range []string{ma.fault("A", m, k, false), mc.fault("C", m, n, false)} {
		if fault != "" {
			panic("gemm: " + fault)
		}
	}
	if k%Whole != 0 || k > 2*b.k || n > b.n || lda%2 != 0 {
		panic(fmt.Sprintf("gemm: %d rows and %d columns of a packed B of %d and %d, A's rows %d apart", k, n, 2*b.k, b.n, lda))
	}
	if m == 0 || n == 0 || k == 0 {
		return
	}
	p := w.ofPairs()
	pl := plan{
		product: &product{m: m, n: n, k: k / 2, alpha: 1, a: ma.pairs(true), c: mc.data, ldc: ldc, acc: acc},
		kernel:  p.kernel, depth: k / 2, k1: k / 2, packed: b,
	}
	p.compute(&pl, 0, m, 0, n)
	p.forget()
}

// PackedFloats is the memory that [k, n] numbers need packed in float32.
func PackedFloats(k, n int) int { return k * roundUp(n, Whole) }

// PackF32 packs op(B), [k, n], of any format, in memory of PackedFloats. Columns from n on are undefined.
func (w *Workspace) PackF32(memory []float32, trans bool, k, n int, b Matrix) Packed {
	if fault := b.fault("B", k, n, trans); fault != "" {
		panic("gemm: " + fault)
	}
	if w.kernel == nil {
		w.kernel = &kernels[0]
	}
	to := Packed{k, roundUp(n, Whole), memory[:PackedFloats(k, n)]}
	w.packB(to.strip(w.kernel, n), &b, trans, 0, k, 0, n)
	return to
}

// ofPairs is the workspace that multiplies pairs.
func (w *Workspace) ofPairs() *Workspace {
	if w.pairs == nil {
		w.pairs = &Workspace{kernel: &pairKernels()[0]}
	}
	return w.pairs
}

// TransposeBF16 writes the transpose of a [rows, cols], lda from row to row, as cols rows of so many numbers. rows is even.
func (w *Workspace) TransposeBF16(dst []uint16, a []uint16, lda, rows, cols int) {
	from, to := BF16(a, lda), BF16(dst, max(rows, 1))
	for _, fault := range []string{from.fault("A", rows, cols, false), to.fault("A transposed", cols, rows, false)} {
		if fault != "" {
			panic("gemm: " + fault)
		}
	}
	if rows%2 != 0 {
		panic(fmt.Sprintf("gemm: transposes pairs of rows, not %d", rows))
	}
	if rows > 0 && cols > 0 {
		pairs := from.pairs(false)
		w.ofPairs().packPairsA(to.data, 2*rows, &pairs, 0, rows/2, 0, cols)
	}
}

// TransposeF32 writes the transpose of a [rows, cols], lda from row to row, as cols rows of so many numbers.
func (w *Workspace) TransposeF32(dst, a []float32, lda, rows, cols int) {
	from, to := F32(a, lda), F32(dst, max(rows, 1))
	for _, fault := range []string{from.fault("A", rows, cols, false), to.fault("A transposed", cols, rows, false)} {
		if fault != "" {
			panic("gemm: " + fault)
		}
	}
	r, whole := 0, cols&^3
	if transpose := kernels[0].colsB[formatF32]; transpose != nil && whole > 0 {
		for ; r+8 <= rows; r += 8 {
			for i := range w.rows {
				w.rows[i] = from.at((r + i) * lda)
			}
			transpose(to.at(r), 4*rows, &w.rows, whole)
			for i := range 8 {
				for c := whole; c < cols; c++ {
					dst[c*rows+r+i] = a[(r+i)*lda+c]
				}
			}
		}
	}
	for ; r < rows; r++ {
		for c := range cols {
			dst[c*rows+r] = a[r*lda+c]
		}
	}
}

// RoundBF16 rounds float32 to bfloat16 as products do: denormal numbers become zeros where the processor's instruction
// has them so, which products take for zeros.
func RoundBF16(dst []uint16, src []float32) {
	if len(dst) < len(src) {
		panic(fmt.Sprintf("gemm: %d numbers rounded to memory of %d", len(src), len(dst)))
	}
	if len(src) > 0 {
		roundRow(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(src))
	}
}
