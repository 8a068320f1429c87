package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
)

// A product of few rows with a transposed B, as when a token of each of some texts is written, costs what reading B does, and
// transposing B into panels costs more than that. So it is products of single rows, several of which share what they read, with
// the bits that each has by itself.

const (
	fewLeast   = 64 // least numbers of a sum
	fewColumns = 32 // most rows of B of one call
	fewVectors = 4  // most rows of A, and of one call: with more, widening again for others costs what panels do
)

// A fewDotter adds products of rows of b, ld bytes apart, and of several x, k numbers each, a multiple of 32, to sums, which are
// fewColumns apart from x to x.
type fewDotter = func(sums *float32, x *[fewVectors]*float32, b unsafe.Pointer, ld, k, rows int)

// few reports whether the product is computed so.
func (p *product) few(kn *kernel) bool {
	return kn.fewVectors > 0 && p.m >= 2 && p.m <= fewVectors && p.transB && !p.transA && p.k >= fewLeast && p.k <= dotsMost && p.k%32 == 0 &&
		(p.a.format == formatF32 || p.a.format.is16Bit()) && p.b.format != formatPairs && p.to != formatPairs &&
		kn.parts == nil && kn.blocks == nil && !kn.fours
}

// RowsAsOne is the most rows of A of which a product may be summed in the order of a single row's. All products of more
// sum a row in the same order, whatever their rows.
func RowsAsOne() int {
	if kernels[0].fewVectors == 0 {
		return 1
	}
	return fewVectors
}

// is16Bit reports whether elements are numbers of 16 bits.
func (f format) is16Bit() bool { return f == formatF16 || f == formatBF16 }

// A fewProduct is one under way.
type fewProduct struct {
	*product
	rows  [fewVectors]*float32
	grain int // rows of B that a task has
}

// rowsOfFew are the rows of A, those of 16 bits widened.
func (w *Workspace) rowsOfFew(p *product) (rows [fewVectors]*float32) {
	if p.a.format != formatF32 {
		w.x = grow(w.x, p.m*p.k)
	}
	for i := range p.m {
		from := p.a.at(i * p.a.ld)
		if rows[i] = (*float32)(from); p.a.format != formatF32 {
			rows[i] = &w.x[i*p.k]
			p.a.format.widenTo(w.x[i*p.k:][:p.k], from)
		}
	}
	return rows
}

// few is the single-goroutine form.
func (w *Workspace) few(p *product) {
	rows := w.rowsOfFew(p)
	w.fewPart(p, &rows, 0, p.n)
}

// few shares the rows of B among the team.
func (e *Engine) few(p *product) {
	f := &e.some
	f.product, f.rows = p, e.ws[0].rowsOfFew(p)
	tasks := 4 * e.team.Threads()
	f.grain = max(fewColumns, roundUp((p.n+tasks-1)/tasks, 8))
	e.team.Stream((p.n+f.grain-1)/f.grain, e.fewTask)
	*f = fewProduct{}
}

// fewPart is a task of few's.
func (e *Engine) fewPart(worker, task int) {
	f := &e.some
	e.ws[worker].fewPart(f.product, &f.rows, task*f.grain, min((task+1)*f.grain, f.n))
}

// fewPart computes columns [lo, hi) of C.
func (w *Workspace) fewPart(p *product, rows *[fewVectors]*float32, lo, hi int) {
	columns := max(1, min(fewColumns, dotsMost/p.k))
	for j := lo; j < hi; j += columns {
		n := min(columns, hi-j)
		b := p.b
		if b.format.inBlocks() {
			b = w.widened(&b, j, n, 0, p.k)
		} else {
			b.data = b.at(j * b.ld)
		}
		for i := 0; i < p.m; i += w.kernel.fewVectors {
			w.fewSome(p, rows[i:p.m], &b, n)
			for r := i; r < min(i+w.kernel.fewVectors, p.m); r++ {
				w.fewStore(p, w.sums[(r-i)*fewColumns:][:n], r, j)
			}
		}
	}
}

// fewSome sums the products of the first rows of A, as many as one call takes, and n rows of B; a row that is not there is the
// last one again. It is a call of its own for the reason that dotSome is.
//
//go:noinline
func (w *Workspace) fewSome(p *product, rows []*float32, b *Matrix, n int) {
	var x [fewVectors]*float32
	for v := range x {
		x[v] = rows[min(v, len(rows)-1)]
	}
	clear(w.sums[:fewVectors*fewColumns])
	w.kernel.fewDots[b.format](&w.sums[0], &x, b.data, b.ld*b.format.size(), p.k, n)
}

// fewStore puts sums to columns j and following of row i of C.
func (w *Workspace) fewStore(p *product, sums []float32, i, j int) {
	at := i*p.ldc + j
	if p.alpha != 1 {
		vec.Scale(sums, sums, p.alpha)
	}
	if p.to == formatF32 {
		c := unsafe.Slice((*float32)(unsafe.Add(p.c, 4*at)), len(sums))
		if p.acc {
			vec.Add(c, c, sums)
		} else {
			copy(c, sums)
		}
		return
	}
	c := unsafe.Slice((*uint16)(unsafe.Add(p.c, 2*at)), len(sums))
	if p.adds() {
		var before, plus [fewColumns]float32
		if p.acc {
			p.to.widenTo(before[:len(sums)], unsafe.Pointer(&c[0]))
		}
		if p.plus.data != nil {
			p.plus.format.widenTo(plus[:len(sums)], p.plus.at(i*p.plus.ld+j))
			vec.Add(before[:], before[:], plus[:])
		}
		vec.Add(sums, before[:len(sums)], sums)
	}
	p.to.round16(c, sums)
}
