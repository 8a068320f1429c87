package gemm

import "unsafe"

// A vectorProduct is a product with one row or one column: y = alpha M x (+ y),
// where M's rows are either what is summed over (dots) or what is summed (axpys).
type vectorProduct struct {
	matrix Matrix
	dots   bool
	x      []float32
	n      int // of y
	y      unsafe.Pointer
	stride int // of y, in elements
	alpha  float32
	acc    bool
}

// vectorProduct looks at the product that way; x is gathered if it is a column.
func (w *Workspace) vectorProduct(p *product) vectorProduct {
	v := vectorProduct{y: p.c, stride: 1, alpha: p.alpha, acc: p.acc}
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
	v := e.ws[0].vectorProduct(p)
	if v.n*len(v.x) <= alone/4 {
		e.ws[0].vectorParts(&v)
		return
	}
	tasks := 4 * e.team.Threads()
	grain := max(32, roundUp((v.n+tasks-1)/tasks, 8))
	if f := v.matrix.format; f.inBlocks() && !v.dots { // no block is widened twice
		grain = roundUp(grain, f.blocks().Len())
	}
	grain = min(vectorChunk, grain)
	e.team.Run((v.n+grain-1)/grain, func(worker, task int) {
		e.ws[worker].vectorPart(&v, task*grain, min((task+1)*grain, v.n))
	})
}

// vectorPart computes elements [lo, hi) of y; lo is a multiple of 8.
func (w *Workspace) vectorPart(v *vectorProduct, lo, hi int) {
	sums := w.sums[:roundUp(hi-lo, 4)]
	clear(sums)
	if v.dots {
		for j := lo; j < hi; j += 4 {
			w.dotRows(v, (*[4]float32)(sums[j-lo:]), j, min(4, hi-j))
		}
	} else {
		for i := 0; i < len(v.x); i += axpyRows {
			w.axpyRows(v, sums[:hi-lo], i, min(i+axpyRows, len(v.x)), lo)
		}
	}
	for j, s := range sums[:hi-lo] {
		y := (*float32)(unsafe.Add(v.y, 4*(lo+j)*v.stride))
		if s *= v.alpha; v.acc {
			*y += s
		} else {
			*y = s
		}
	}
}

// dotsMost is the most elements of k in one assembly call: some microseconds.
const dotsMost = 32 << 10

// dotRows multiplies up to four rows from j with x.
//
//go:noinline
func (w *Workspace) dotRows(v *vectorProduct, sum *[4]float32, j, rows int) {
	m, k := &v.matrix, len(v.x)
	if m.format.inBlocks() {
		if w.dotBlocks(v, sum, j, rows) {
			return
		}
		piece := w.widened(m, j, rows, 0, k)
		m, j = &piece, 0
	}
	ld := m.ld * m.format.size()
	if rows < 4 {
		ld = 0 // the same row four times; row after row
	}
	at := j * m.ld
	for r := 0; r < rows; r++ {
		part := &w.quad
		*part = [4]float32{}
		even := k &^ 15
		for l := 0; l < even; l += dotsMost {
			w.kernel.vectors.dots[m.format](part, unsafe.Pointer(&v.x[l]), m.at(at+r*m.ld+l), ld, min(dotsMost, even-l))
		}
		if ld != 0 {
			*sum = *part
			break
		}
		sum[r] = part[0]
	}
	for r := range rows {
		for l := k &^ 15; l < k; l++ {
			sum[r] += v.x[l] * m.format.at(m.data, at+r*m.ld+l)
		}
	}
}

// dotBlocks is dotRows for a matrix in blocks; false: the kernel has no function for them.
func (w *Workspace) dotBlocks(v *vectorProduct, sum *[4]float32, j, rows int) bool {
	m, k := &v.matrix, len(v.x)
	t := m.format.blocks()
	f := w.kernel.vectors.dotBlocks[t]
	if f == nil || k%t.Len() != 0 {
		return false
	}
	ld := t.Bytes(m.ld)
	if rows == 4 {
		for l := 0; l < k; l += dotsMost {
			f(sum, unsafe.Pointer(&v.x[l]), m.block(j*m.ld+l), ld, min(dotsMost, k-l))
		}
		return true
	}
	for r := range rows { // the same row four times
		w.quad = [4]float32{}
		for l := 0; l < k; l += dotsMost {
			f(&w.quad, unsafe.Pointer(&v.x[l]), m.block((j+r)*m.ld+l), 0, min(dotsMost, k-l))
		}
		sum[r] = w.quad[0]
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
