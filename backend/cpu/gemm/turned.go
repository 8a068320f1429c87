package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
)

// A product of few rows with a transposed B, as when a token of each of some texts is written, costs what reading B does, and
// packing B into panels costs more than that. So rows of B, which are columns of op(B), are read where they lie and turned in
// registers: every number of C is summed as by panels, and what is left beside whole groups of rows of B goes through them.

// turnedColumns is the most columns that are computed in one block of k before the next: their sums stay in the level-1 cache.
const turnedColumns = 64

// turnedRows is the rows of A that a panel has room for.
const turnedRows = 8

// turnedFloats is the most numbers of A's panels (1 MiB).
const turnedFloats = 256 << 10

// turned reports whether the product is computed so. Where B's rows are few beside A's, packing these would cost as much as B's
// panels.
func (p *product) turned(kn *kernel) bool {
	most, rows, group := kn.turnedBy(kn.bytesOf(p))
	if p.m > most || !p.transB || p.transA || p.n < group || p.k%8 != 0 || roundUp(p.m, turnedRows)*p.k > turnedFloats {
		return false
	}
	if p.m > rows && p.n < 8*p.m {
		return false
	}
	return (p.a.format == formatF32 || p.a.format.is16Bit()) && p.b.format != formatPairs
}

// turnedBy is the most rows of A, those of a micro-kernel, and the columns of C that are computed together, by bytes or, if nil,
// without.
func (kn *kernel) turnedBy(bytes *bytePanels) (most, rows, group int) {
	if bytes != nil {
		return kn.bytesMost, turnedRows, 2 * kn.turnedGroup
	}
	return kn.turnedMost, len(kn.turned[0]) - 1, kn.turnedGroup
}

// is16Bit reports whether elements are numbers of 16 bits.
func (f format) is16Bit() bool { return f == formatF16 || f == formatBF16 }

// A turnedProduct is one under way.
type turnedProduct struct {
	plan
	panels unsafe.Pointer // of A
	rows   int            // of each
	group  int            // columns that are computed together
	grain  int            // columns of a task
	bytes  *bytePanels    // of B, or nil
}

// newTurned packs A.
func (w *Workspace) newTurned(p *product) turnedProduct {
	t := turnedProduct{plan: newPlan(p, w.kernel), bytes: w.kernel.bytesOf(p)}
	_, most, group := w.kernel.turnedBy(t.bytes)
	t.group = group
	t.panels, t.rows = w.panelsOf(p, most)
	return t
}

// turned is the single-goroutine form.
func (w *Workspace) turned(p *product) {
	t := w.newTurned(p)
	w.turnedPart(&t, 0, p.n)
}

// turned shares the columns among the team.
func (e *Engine) turned(p *product) {
	t := &e.few
	*t = e.ws[0].newTurned(p)
	tasks := 4 * e.team.Threads()
	t.grain = max(32, roundUp((p.n+tasks-1)/tasks, t.group))
	e.team.Stream((p.n+t.grain-1)/t.grain, e.turnedTask)
	*t = turnedProduct{}
}

// turnedShare is a task of turned's.
func (e *Engine) turnedShare(worker, task int) {
	t := &e.few
	e.ws[worker].turnedPart(t, task*t.grain, min((task+1)*t.grain, t.n))
}

// panelsOf packs A into panels of equally many rows, at most most, but for the last, that begin [k][turnedRows]
// apart. They stay until the next product, also where this workspace computes columns beside whole groups: an A that is not
// transposed is not packed for those.
func (w *Workspace) panelsOf(p *product, most int) (panels unsafe.Pointer, rows int) {
	n := (p.m + most - 1) / most
	rows = (p.m + n - 1) / n
	w.a = grow(w.a, n*turnedRows*p.k)
	a := p.a
	if p.wideA.data != nil {
		data, ld := w.roundA(p, 0, p.m, 0, p.k)
		a = Matrix{formatF32, data, p.m * ld / 4, ld / 4}
	}
	panels = unsafe.Pointer(unsafe.SliceData(w.a))
	for i := 0; i < p.m; i += rows {
		w.packCols(w.kernel.colsB[a.format], unsafe.Pointer(&w.a[i/rows*turnedRows*p.k]), turnedRows, &a, 0, p.k, i, min(rows, p.m-i))
	}
	return panels, rows
}

// turnedPart computes columns [lo, hi) of C.
func (w *Workspace) turnedPart(p *turnedProduct, lo, hi int) {
	columns := turnedColumns
	if p.b.format.inBlocks() {
		columns = p.group
	}
	whole := lo + (hi-lo)/p.group*p.group
	for j := lo; j < whole; j += columns {
		if p.bytes != nil {
			w.turnedBytes(p, j)
		} else {
			w.turnedBlocks(p, j, min(columns, whole-j))
		}
	}
	if whole < hi {
		w.compute(&p.plan, 0, p.m, whole, hi)
	}
	w.forget()
}

// turnedBlocks computes n columns of C, whole groups, from j on. Of a quantized B it has one group, of which as many blocks of k are
// widened at a time as stay in a level-2 cache.
func (w *Workspace) turnedBlocks(p *turnedProduct, j, n int) {
	t, group, c := &w.tile, p.group, w.beginTurned(p, j, n)
	t.columns(group, group)
	b, j0, k0, k1 := p.b, j, 0, p.k // b begins at row j0 and number k0 of op(B)'s columns, and has them up to k1
	if b.format.inBlocks() {
		k1 = 0
	} else {
		b.data = b.at(j * b.ld)
	}
	for kb := 0; kb < p.k; kb += p.depth {
		t.k, t.acc = min(p.depth, p.k-kb), p.adds() || kb > 0
		if kb == k1 {
			k0, k1 = kb, min(p.k, kb+max(1, widenedAtOnce/group/p.depth)*p.depth)
			b = w.widened(&p.b, j0, group, k0, k1-k0)
			p.fetchBlocks(j0, k1, k1-k0)
		}
		size := b.format.size()
		for g := 0; g < n; g += group {
			if t.ahead = 0; !p.b.format.inBlocks() {
				t.ahead = size * p.behind(j, g, n, kb)
			}
			t.b, t.bs = b.at(g*b.ld+kb-k0), size*b.ld
			for i := 0; i < p.m; i += p.rows {
				t.a, t.c = unsafe.Add(p.panels, (i/p.rows*p.k+kb)*t.ks), unsafe.Add(c, i*t.ldc+4*g)
				w.turn(w.kernel.turned[b.format][min(p.rows, p.m-i)])
			}
		}
	}
	w.endTurned(p, c)
}

// beginTurned prepares the tile for n columns of C from j on, which are computed at c: in float32, if C is in 16 bits.
func (w *Workspace) beginTurned(p *turnedProduct, j, n int) (c unsafe.Pointer) {
	t := &w.tile
	t.alpha, t.ldc, t.spill = p.alpha, 4*p.ldc, &w.spill
	t.rs, t.ks = 4, 4*turnedRows
	if !p.rounded() {
		return unsafe.Add(p.c, 4*j)
	}
	w.rounding = newRounding(p.product, 0, j, j+n)
	w.step, t.ldc = 4*n, 4*n
	w.c = grow(w.c, p.m*n)
	c = unsafe.Pointer(unsafe.SliceData(w.c))
	if p.adds() {
		w.read(c, 0, p.m)
	}
	return c
}

// endTurned rounds what beginTurned prepared, if that is to be rounded.
func (w *Workspace) endTurned(p *turnedProduct, c unsafe.Pointer) {
	if p.rounded() {
		w.write(c, 0, p.m)
	}
}

// fetchBlocks fetches what is widened behind the numbers up to k1 of the group of rows of B at j, at most n of each row, while these
// are multiplied: the hardware begins anew after every pause.
func (p *turnedProduct) fetchBlocks(j, k1, n int) {
	group, t := p.group, p.b.format.blocks()
	if k1 == p.k {
		j, k1 = j+group, 0
	}
	if j+group > p.n {
		return
	}
	n = min(n, p.k-k1)
	at, ld := p.b.block(j*p.b.ld+k1), t.Bytes(p.b.ld)
	bytes := t.Bytes(n)
	rows := group
	if bytes == ld {
		bytes, rows = rows*ld, 1
	}
	vec.Fetch(unsafe.Slice((*byte)(at), (rows-1)*ld+bytes), rows, bytes, ld)
}

// widenedAtOnce is the most numbers of a quantized B that are widened at a time, if that is a block of k.
const widenedAtOnce = 32 << 10

// behind is the elements of B from what is multiplied, the group at column j+g of n in the block at kb, to what is read next, where
// a task ends by a worker that goes on to its neighbor.
func (p *turnedProduct) behind(j, g, n, kb int) int {
	group := p.group
	switch {
	case g+group < n:
		return group * p.b.ld
	case kb+p.depth < p.k:
		return p.depth - g*p.b.ld
	case j+n < p.n:
		return group*p.b.ld - kb
	}
	return 0
}

// turn is a call of its own for the reason that column is.
//
//go:noinline
func (w *Workspace) turn(f func(*tile)) { f(&w.tile) }
