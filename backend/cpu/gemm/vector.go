package gemm

import (
	"unsafe"
)

// A vectorProduct is a product with one row or one column: y = alpha M x (+ y),
// where M's rows are either what is summed over (dots) or what is summed (axpys).
type vectorProduct struct {
	matrix Matrix
	dots   bool
	x      []float32
	n      int // of y
	y      unsafe.Pointer
	to     format // of y: float32, or one that sums are rounded to
	stride int    // of y, in elements
	alpha  float32
	acc    bool
	grain  int // elements of y that a task of Engine.vector has
}

// SgemmRow is the product of one row x of k numbers and op(B) [k, n] in a 16-bit format, y, whose numbers are Sgemm's, rounded
// to nearest even. It reports whether it did so: not where the product is computed in integers (RoundRows). Then it has
// written nothing.
func (e *Engine) SgemmRow(transB bool, n, k int, x []float32, b, y Matrix) bool {
	if y.format != formatF16 && y.format != formatBF16 {
		panic("gemm: y is not in float16 or bfloat16")
	}
	a := F32(x, max(1, k))
	for _, fault := range []string{a.fault("x", 1, k, false), b.fault("B", k, n, transB), y.fault("y", 1, n, false)} {
		if fault != "" {
			panic("gemm: " + fault)
		}
	}
	p := product{transB: transB, m: 1, n: n, k: k, alpha: 1, a: a, b: b, c: y.data, ldc: y.ld, to: y.format}
	if n == 0 || k == 0 || e.inIntegers(&p) {
		return false
	}
	e.run(p)
	return true
}

// vectorProduct looks at the product that way; x is gathered if it is a column.
func (w *Workspace) vectorProduct(p *product) vectorProduct {
	v := vectorProduct{y: p.c, to: p.to, stride: 1, alpha: p.alpha, acc: p.acc}
	from, contiguous := &p.a, !p.transA
	if p.m == 1 {
		v.matrix, v.dots, v.n = p.b, p.transB, p.n
	} else {
		v.matrix, v.dots, v.n, v.stride = p.a, !p.transA, p.m, p.ldc
		from, contiguous = &p.b, p.transB
	}
	if contiguous && from.format == formatF32 {
		v.x = unsafe.Slice((*float32)(from.data), p.k)
		return v
	}
	step := from.ld
	if contiguous {
		step = 1
	}
	w.x = grow(w.x, p.k)
	for i := range w.x {
		w.x[i] = from.format.at(from.data, i*step)
	}
	v.x = w.x
	return v
}

func (w *Workspace) vector(p *product) {
	v := w.vectorProduct(p)
	w.vectorParts(&v)
}

func (w *Workspace) vectorParts(v *vectorProduct) {
	for j := 0; j < v.n; j += vectorChunk {
		w.vectorPart(v, j, min(j+vectorChunk, v.n))
	}
}

// vectorChunk is the most outputs of a task.
const vectorChunk = 1024

func (e *Engine) vector(p *product) {
	v := &e.row
	*v = e.ws[0].vectorProduct(p)
	if v.n*len(v.x) <= alone/4 {
		e.ws[0].vectorParts(v)
		return
	}
	tasks := 4 * e.team.Threads()
	grain := max(32, roundUp((v.n+tasks-1)/tasks, 8))
	if f := v.matrix.format; f.inBlocks() && !v.dots { // no block is widened twice
		grain = roundUp(grain, f.blocks().Len())
	}
	v.grain = min(vectorChunk, grain)
	e.team.Stream((v.n+v.grain-1)/v.grain, e.rowTask)
}

// rowPart is a task of vector's.
func (e *Engine) rowPart(worker, task int) {
	v := &e.row
	e.ws[worker].vectorPart(v, task*v.grain, min((task+1)*v.grain, v.n))
}

// vectorPart computes elements [lo, hi) of y; lo is a multiple of 8.
func (w *Workspace) vectorPart(v *vectorProduct, lo, hi int) {
	sums := w.sums[:hi-lo]
	clear(sums)
	if v.dots {
		w.dotRows(v, sums, lo)
	} else {
		for i := 0; i < len(v.x); i += axpyRows {
			w.axpyRows(v, sums, i, min(i+axpyRows, len(v.x)), lo)
		}
	}
	switch {
	case v.to != formatF32:
		v.to.round16(unsafe.Slice((*uint16)(unsafe.Add(v.y, 2*lo)), len(sums)), sums)
		return
	case v.stride == 1 && v.alpha == 1 && !v.acc:
		copy(unsafe.Slice((*float32)(unsafe.Add(v.y, 4*lo)), len(sums)), sums)
		return
	}
	for j, s := range sums {
		y := (*float32)(unsafe.Add(v.y, 4*(lo+j)*v.stride))
		if s *= v.alpha; v.acc {
			*y += s
		} else {
			*y = s
		}
	}
}

// dotsMost is the most products of one assembly call: some microseconds.
const dotsMost = 32 << 10

// dotRows multiplies rows [j, j+len(sums)) with x, as many in a call as are some microseconds.
func (w *Workspace) dotRows(v *vectorProduct, sums []float32, j int) {
	most := max(1, min(32, dotsMost/len(v.x)))
	for len(sums) > 0 {
		n := min(most, len(sums))
		w.dotSome(v, sums[:n], j)
		sums, j = sums[n:], j+n
	}
}

// dotSome is dotRows for a few rows. It is a call of its own, with a frame, because its prologue is where the
// scheduler can stop a loop of assembly calls.
//
//go:noinline
func (w *Workspace) dotSome(v *vectorProduct, sums []float32, j int) {
	m, k := &v.matrix, len(v.x)
	if m.format.inBlocks() {
		if w.dotBlocks(v, sums, j) {
			return
		}
		piece := w.widened(m, j, len(sums), 0, k)
		m, j = &piece, 0
	}
	at, even := j*m.ld, k&^7
	for l := 0; l < even; l += dotsMost {
		w.kernel.vectors.dots[m.format](&sums[0], unsafe.Pointer(&v.x[l]), m.at(at+l), m.ld*m.format.size(),
			min(dotsMost, even-l), len(sums))
	}
	if even == k {
		return
	}
	for r := range sums {
		for l := even; l < k; l++ {
			sums[r] += v.x[l] * m.format.at(m.data, at+r*m.ld+l)
		}
	}
}

// dotBlocks is dotSome for a matrix in blocks; false: the kernel has no function for them.
func (w *Workspace) dotBlocks(v *vectorProduct, sums []float32, j int) bool {
	m, k := &v.matrix, len(v.x)
	t := m.format.blocks()
	f := w.kernel.vectors.dotBlocks[t]
	if f == nil || k%t.Len() != 0 {
		return false
	}
	for l := 0; l < k; l += dotsMost {
		f(&sums[0], unsafe.Pointer(&v.x[l]), m.block(j*m.ld+l), t.Bytes(m.ld), min(dotsMost, k-l), len(sums))
	}
	return true
}

// axpyRows is the number of rows that one call adds.
const axpyRows = 32

// axpyRows adds rows [i0, i1) of the matrix, from column lo, times x.
//
//go:noinline
func (w *Workspace) axpyRows(v *vectorProduct, sums []float32, i0, i1, lo int) {
	m, first := &v.matrix, 0 // the row that m begins with
	if m.format.inBlocks() {
		piece := w.widened(m, i0, i1-i0, lo, len(sums))
		m, first, lo = &piece, i0, 0
	}
	ld := m.ld * m.format.size()
	y := unsafe.Pointer(unsafe.SliceData(sums))
	even := len(sums) &^ 7
	for i := i0; i < i1 && even > 0; {
		f, rows := w.kernel.axpys4[m.format], 4
		if i1-i < 4 {
			f, rows = w.kernel.axpys1[m.format], 1
		}
		f(y, unsafe.Pointer(&v.x[i]), m.at((i-first)*m.ld+lo), ld, even)
		i += rows
	}
	for j := even; j < len(sums); j++ {
		for i := i0; i < i1; i++ {
			sums[j] += v.x[i] * m.format.at(m.data, (i-first)*m.ld+lo+j)
		}
	}
}
