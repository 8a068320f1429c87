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
	fewMost    = 8  // most rows of A that any kernel takes
)

// A fewDotter makes sums of products of rows of b, ld bytes apart, and of several x, k numbers each, a multiple of 32. They are
// fewColumns apart from x to x.
type fewDotter = func(sums *float32, x *[fewMost]*float32, b unsafe.Pointer, ld, k, rows int)

// A fewCall multiplies with so many rows of A at once; the indices are formats.
type fewCall struct {
	vectors int
	dots    [3]fewDotter
}

// few reports whether the product is computed so.
func (p *product) few(kn *kernel) bool {
	return p.m >= 2 && p.m <= kn.fewRows && p.transB && !p.transA && p.k >= fewLeast && p.k <= dotsMost && p.k%32 == 0 &&
		(p.a.format == formatF32 || p.a.format.is16Bit()) && p.b.format != formatPairs && p.to != formatPairs &&
		kn.parts == nil && kn.blocks == nil && !kn.fours
}

// RowsAsOne is the most rows of A of which a product may be summed in the order of a single row's. All products of more
// sum a row in the same order, whatever their rows.
func RowsAsOne() int { return max(1, kernels[0].fewRows) }

// fewCall is the call for m rows of A, or for some of them.
func (kn *kernel) fewCall(m int) *fewCall {
	for i := range kn.few {
		if kn.few[i].vectors >= m {
			return &kn.few[i]
		}
	}
	return &kn.few[len(kn.few)-1]
}

// is16Bit reports whether elements are numbers of 16 bits.
func (f format) is16Bit() bool { return f == formatF16 || f == formatBF16 }

// A fewProduct is one under way.
type fewProduct struct {
	*product
	rows  [fewMost]*float32
	grain int // rows of B that a task has
}

// rowsOfFew are the rows of A, those of 16 bits widened.
func (w *Workspace) rowsOfFew(p *product) (rows [fewMost]*float32) {
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
func (w *Workspace) fewPart(p *product, rows *[fewMost]*float32, lo, hi int) {
	columns := max(1, min(fewColumns, dotsMost/p.k))
	call := w.kernel.fewCall(p.m)
	for j := lo; j < hi; j += columns {
		n := min(columns, hi-j)
		b := p.b
		if b.format.inBlocks() {
			b = w.widened(&b, j, n, 0, p.k)
		} else {
			b.data = b.at(j * b.ld)
		}
		for i := 0; i < p.m; i += call.vectors {
			w.fewSome(p, call, rows[i:p.m], &b, n)
			for r := i; r < min(i+call.vectors, p.m); r++ {
				w.fewStore(p, w.sums[(r-i)*fewColumns:][:n], r, j)
			}
		}
	}
}

// fewSome sums the products of the first rows of A, as many as one call takes, and n rows of B; a row that is not there is the
// last one again. It is a call of its own for the reason that dotSome is.
//
//go:noinline
func (w *Workspace) fewSome(p *product, call *fewCall, rows []*float32, b *Matrix, n int) {
	var x [fewMost]*float32
	for v := range x {
		x[v] = rows[min(v, len(rows)-1)]
	}
	call.dots[b.format](&w.sums[0], &x, b.data, b.ld*b.format.size(), p.k, n)
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
