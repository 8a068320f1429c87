package gemm

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
)

// HasBF16 reports whether Bgemm multiplies here: the processor has AMX, and Linux lets the process use it, or
// VDPBF16PS, and it is faster than multiply-adds in float32 (internal/cpulevel), or arm64's BFMMLA.
func HasBF16() bool { return len(pairKernels()) > 0 }

// multipliesAlong reports whether it does for that k.
func multipliesAlong(k int) bool { return HasBF16() && k%pairKernels()[0].along() == 0 }

// Bgemm is C (+)= alpha op(A) op(B) for A and B in bfloat16, and C in float32 or bfloat16, without widening them:
// the instruction takes two neighbors along k as one element, so that the product is one of k/2 steps. Sums
// are in float32; denormal elements count as zero. One of A and B may be in float32, and is rounded. It
// reports whether it did so: not where the processor has no such instruction, for single rows and columns,
// and where k or the stride of a matrix that is read along k is odd (or k no multiple of four, of which BFMMLA adds
// products). Then it has written nothing.
func (e *Engine) Bgemm(transA, transB bool, m, n, k int, alpha float32, a, b, c Matrix, acc bool) bool {
	if !checkPairs(transA, transB, m, n, k, a, b, c) || !multipliesAlong(k) {
		return false
	}
	e.pairs().bgemm(transA, transB, m, n, k, alpha, a, b, c, acc)
	return true
}

// bgemm is Bgemm for an engine whose kernel is that of pairs.
func (e *Engine) bgemm(transA, transB bool, m, n, k int, alpha float32, a, b, c Matrix, acc bool) {
	if !e.busy.TryLock() {
		w := e.single.Get().(*Workspace)
		defer e.single.Put(w)
		w.multiplyPairs(transA, transB, m, n, k, alpha, a, b, c, acc)
		return
	}
	defer e.end()
	for i, x := range []*Matrix{&a, &b} {
		if roundedBefore(i, x, transA) {
			rows, cols := shape(i, transA, transB, m, n, k)
			e.roundMatrix(x, rows, cols)
		}
	}
	e.now = newPairProduct(transA, transB, m, n, k, alpha, a, b, c, acc)
	e.share(&e.now)
}

// Bgemm is Engine.Bgemm on this goroutine.
func (w *Workspace) Bgemm(transA, transB bool, m, n, k int, alpha float32, a, b, c Matrix, acc bool) bool {
	if !checkPairs(transA, transB, m, n, k, a, b, c) || !multipliesAlong(k) {
		return false
	}
	w.ofPairs().multiplyPairs(transA, transB, m, n, k, alpha, a, b, c, acc)
	return true
}

// multiplyPairs is Bgemm for a workspace whose kernel is that of pairs.
func (w *Workspace) multiplyPairs(transA, transB bool, m, n, k int, alpha float32, a, b, c Matrix, acc bool) {
	for i, x := range []*Matrix{&a, &b} {
		if roundedBefore(i, x, transA) {
			rows, cols := shape(i, transA, transB, m, n, k)
			to := w.rounds.matrix(rows, cols)
			roundRows(to, *x, 0, rows, cols)
			*x = to
		}
	}
	w.run(newPairProduct(transA, transB, m, n, k, alpha, a, b, c, acc))
}

// pairs is the engine that multiplies pairs, with the same team.
func (e *Engine) pairs() *Engine {
	e.pairsOnce.Do(func() { e.ofPairs = newEngine(e.team, pairKernels()[0]) })
	return e.ofPairs
}

// roundedBefore reports whether operand i, 0 for A and 1 for B, is rounded to memory of its own before the product: one
// in float32, but an A that is not transposed, of which a task rounds the rows that it is about to read.
func roundedBefore(i int, x *Matrix, transA bool) bool {
	return x.format == formatF32 && (i == 1 || transA)
}

// roundA puts rows [i, i+m) of the block [k0, k0+k) of A in the workspace's memory, in bfloat16, and returns where
// the first is and the bytes from one to the next.
func (w *Workspace) roundA(p *product, i, m, k0, k int) (unsafe.Pointer, int) {
	ld := roundUp(k, 16) + 16 // not a multiple of waySize
	w.rounds = slices.Grow(w.rounds[:0], 2*m*ld)[:2*m*ld]
	to := unsafe.Pointer(unsafe.SliceData(w.rounds))
	for r := range m {
		roundRow(unsafe.Add(to, 4*r*ld), p.wideA.at((i+r)*p.wideA.ld+2*k0), 2*k)
	}
	return to, 4 * ld
}

// shape is the rows and columns of A or B, numbers 0 and 1, as they are stored.
func shape(i int, transA, transB bool, m, n, k int) (rows, cols int) {
	trans := transA
	rows, cols = m, k
	if i == 1 {
		trans, rows, cols = transB, k, n
	}
	if trans {
		rows, cols = cols, rows
	}
	return rows, cols
}

// checkPairs panics as Sgemm does, and reports whether Bgemm computes this where it multiplies.
func checkPairs(transA, transB bool, m, n, k int, a, b, c Matrix) bool {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("gemm: negative size in m=%d, n=%d, k=%d", m, n, k))
	}
	for _, x := range []struct {
		Matrix
		name       string
		rows, cols int
		trans      bool
	}{{a, "A", m, k, transA}, {b, "B", k, n, transB}, {c, "C", m, n, false}} {
		if x.format != formatBF16 && x.format != formatF32 {
			panic("gemm: " + x.name + " is not in bfloat16 or float32")
		}
		if fault := x.fault(x.name, x.rows, x.cols, x.trans); fault != "" {
			panic("gemm: " + fault)
		}
	}
	odd := func(x Matrix) bool { return x.format == formatBF16 && x.ld%2 != 0 }
	switch {
	case m < 2 || n < 2 || k < 2 || k%2 != 0, a.format == formatF32 && b.format == formatF32:
		return false
	case !transA && odd(a), transB && odd(b):
		return false
	}
	return true
}

// newPairProduct is the product as one of elements that are pairs along k.
func newPairProduct(transA, transB bool, m, n, k int, alpha float32, a, b, c Matrix, acc bool) product {
	p := product{
		transA: transA, transB: transB, m: m, n: n, k: k / 2, alpha: alpha, b: b.pairs(transB),
		c: c.data, ldc: c.ld, acc: acc,
	}
	if c.format == formatBF16 {
		p.to = formatPairs
	}
	if a.format == formatF32 {
		p.wideA = a
	} else {
		p.a = a.pairs(!transA)
	}
	return p
}

// roundRowGo rounds n elements of src to bfloat16, denormal ones to zero.
func roundRowGo(dst, src unsafe.Pointer, n int) {
	to, from := unsafe.Slice((*uint16)(dst), n), unsafe.Slice((*float32)(src), n)
	vec.ToBF16(to, from)
	for i, x := range from {
		if math.Abs(float64(x)) < 0x1p-126 {
			to[i] &= 1 << 15
		}
	}
}

// rounds is memory for a float32 operand that becomes bfloat16.
type rounds []uint16

func (r *rounds) matrix(rows, cols int) Matrix {
	ld := roundUp(cols, 2)
	if cap(*r) < rows*ld {
		*r = make([]uint16, rows*ld)
	}
	return BF16((*r)[:rows*ld], ld)
}

// roundMatrix puts a matrix in bfloat16 in the place of one in float32.
func (e *Engine) roundMatrix(x *Matrix, rows, cols int) {
	to, from := e.rounds.matrix(rows, cols), *x
	grain := max(1, 1<<14/cols)
	e.team.Run((rows+grain-1)/grain, func(_, task int) {
		roundRows(to, from, task*grain, min((task+1)*grain, rows), cols)
	})
	*x = to
}

// roundRows rounds rows [lo, hi).
func roundRows(to, from Matrix, lo, hi, cols int) {
	for i := lo; i < hi; i++ {
		roundRow(to.at(i*to.ld), from.at(i*from.ld), cols)
	}
}

// pairs is a bfloat16 matrix as one of pairs along k: neighbors in a row, which move like float32s, or
// neighbors in a column, two rows being one.
func (b Matrix) pairs(inRows bool) Matrix {
	if inRows {
		return Matrix{formatF32, b.data, b.len / 2, b.ld / 2}
	}
	return Matrix{formatPairs, b.data, b.len - b.ld, 2 * b.ld}
}

// A rounding is what a task computes of a C in 16 bits, in float32 until the last block of k. (Where there is one
// alone, the micro-kernel may round: kernel.halves.)
type rounding struct {
	to   format
	c    unsafe.Pointer // the first element of C that is the task's
	ldc  int            // of C, bytes
	acc  bool           // C is added to
	plus Matrix         // is added, from that element on, if it is one
	cols int
	step int  // bytes of scratch from one row to the next
	once bool // the scratch has only the rows under way, of a single block of k
	load bool // the sums begin with what they are added to
	done bool // the last block of k: C is written
}

// newRounding is that of rows from i on and columns [j0, j1) of C.
func newRounding(p *product, i, j0, j1 int) rounding {
	r := rounding{to: p.to, c: unsafe.Add(p.c, 2*(i*p.ldc+j0)), ldc: 2 * p.ldc, acc: p.acc, plus: p.plus, cols: j1 - j0}
	if r.plus.data != nil {
		r.plus.data = r.plus.at(i*r.plus.ld + j0)
	}
	return r
}

// begin gives the task's rows [i0, i1) and columns [j0, j1) of C scratch memory.
func (w *Workspace) begin(pl *plan, i0, i1, j0, j1 int) unsafe.Pointer {
	w.rounding = newRounding(pl.product, i0, j0, j1)
	width, rows := roundUp(w.cols, 16), i1-i0
	if w.step = 4 * width; pl.once() {
		w.once, rows = true, min(rows, max(pl.kernel.rows, pl.kernel.chunk))
	}
	w.c = grow(w.c, rows*width)
	return unsafe.Pointer(unsafe.SliceData(w.c))
}

// rounded computes m rows, so many in a tile, the task's from i on.
func (w *Workspace) rounded(s *packedStrip, a unsafe.Pointer, rows, step, i, m int, scratch unsafe.Pointer) {
	if !w.once {
		scratch = unsafe.Add(scratch, i*w.step)
	}
	if w.load {
		w.read(scratch, i, m)
	}
	w.panelsTimes(s, a, rows, step, m, scratch)
	if w.done {
		w.write(scratch, i, m)
	}
}

// read puts rows of what is added to into the scratch memory, write rounds them to C.
func (r *rounding) read(scratch unsafe.Pointer, i, rows int) {
	for k := range rows {
		wide, plus := unsafe.Slice((*float32)(unsafe.Add(scratch, k*r.step)), r.cols), r.plus
		if r.acc {
			r.to.widenTo(wide, unsafe.Add(r.c, (i+k)*r.ldc))
		}
		switch at := plus.at((i + k) * plus.ld); {
		case plus.data == nil:
		case r.acc:
			var piece [256]float32
			for j := 0; j < r.cols; j += len(piece) {
				part := piece[:min(len(piece), r.cols-j)]
				plus.format.widenTo(part, unsafe.Add(at, j*plus.format.size()))
				vec.Add(wide[j:j+len(part)], wide[j:j+len(part)], part)
			}
		default:
			plus.format.widenTo(wide, at)
		}
	}
}

func (r *rounding) write(scratch unsafe.Pointer, i, rows int) {
	for k := range rows {
		wide := unsafe.Slice((*float32)(unsafe.Add(scratch, k*r.step)), r.cols)
		r.to.round16(unsafe.Slice((*uint16)(unsafe.Add(r.c, (i+k)*r.ldc)), r.cols), wide)
	}
}

// throughWide computes the whole of a C in 16 bits in float32 before it is rounded: where panels are packed
// for one stretch of k after the other, no task sees the last sum.
func (e *Engine) throughWide(p *product) {
	e.wide = grow(e.wide, p.m*p.n)
	r := newRounding(p, 0, 0, p.n)
	r.step = 4 * p.n
	whole := *p
	whole.c, whole.ldc, whole.to = unsafe.Pointer(unsafe.SliceData(e.wide)), p.n, formatF32
	if p.adds() {
		whole.acc, whole.plus = true, Matrix{}
	}
	const rows = 16
	each := func(f func(scratch unsafe.Pointer, i, rows int)) {
		e.team.Run((p.m+rows-1)/rows, func(_, task int) {
			i := task * rows
			f(unsafe.Add(whole.c, i*r.step), i, min(rows, p.m-i))
		})
	}
	if p.adds() {
		each(r.read)
	}
	e.matrix(&whole)
	each(r.write)
}

// pair is an element of pairs of rows: what packs the last ones of a matrix, where the packer would read beyond it.
func (b *Matrix) pair(i int) uint32 {
	low, high := b.at(i), b.at(i+b.ld/2)
	return uint32(*(*uint16)(low)) | uint32(*(*uint16)(high))<<16
}
