package gemm

import "unsafe"

// A plan is how one product is cut. Blocks of k have the same depth whatever the
// number of threads: it decides the order of the sums.
type plan struct {
	*product
	kernel *kernel
	depth  int // of a block of k
	k0, k1 int // the blocks that sharedA and sharedB hold
	// Panels packed for all workers, or nil: op(A) as [block][panel][k][rows],
	// op(B) as [block][panel][k][cols].
	sharedA, sharedB unsafe.Pointer
	packed           *Packed // op(B), or nil: packed.go
}

func newPlan(p *product, kn *kernel) plan {
	blocks := (p.k + kn.kc - 1) / kn.kc
	whole := 8
	switch { // only the last block has a tile that is not
	case kn.parts != nil:
		whole = partSteps
	case kn.blocks != nil:
		whole = tileSize
	}
	depth := roundUp((p.k+blocks-1)/blocks, whole)
	return plan{product: p, kernel: kn, depth: depth, k1: p.k}
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// once reports whether a C in 16 bits is rounded as its rows are computed, there being a single block of k.
func (pl *plan) once() bool { return pl.k <= pl.depth && pl.kernel.blocks == nil }

// keptRows is the rows of a task, of one that could have so many: of a C in 16 bits it keeps them in float32 until all blocks
// of k are added.
func (pl *plan) keptRows(rows int) int {
	if !pl.rounded() || pl.once() || rows <= mostKeptRows {
		return rows
	}
	most := mostKeptRows / pl.kernel.rows * pl.kernel.rows
	tasks := (rows + most - 1) / most
	return roundUp((rows+tasks-1)/tasks, pl.kernel.rows)
}

// narrowA reports whether rows of A are widened where they are read.
func (p *product) narrowA() bool { return !p.transA && p.a.format.size() == 2 }

// readsRows reports whether tiles fetch rows of A as fast where they lie as in panels: those of more than half as many rows.
func (pl *plan) readsRows() bool {
	return pl.kernel.whole[1].inPlace != nil && !pl.transA && pl.a.format == formatF32 &&
		pl.kernel.rowsInPlace(4*pl.a.ld) > pl.kernel.rows/2
}

// adds reports whether the sums are added to something.
func (p *product) adds() bool { return p.acc || p.plus.data != nil }

// matrix is the single-goroutine form.
func (w *Workspace) matrix(p *product) {
	pl := newPlan(p, w.kernel)
	for j := 0; j < p.n; j += w.kernel.strip {
		w.compute(&pl, 0, p.m, j, min(j+w.kernel.strip, p.n))
	}
	w.forget()
}

// forget keeps no memory of the caller's alive.
func (w *Workspace) forget() { w.tile, w.rounding = tile{}, rounding{} }

// matrix cuts the product for the team.
func (e *Engine) matrix(p *product) {
	pl := newPlan(p, e.kernel)
	c := newCut(&pl, e.team.Threads())
	if band := c.band(&pl); band < p.m {
		for i := 0; i < p.m; i += band {
			part := p.rows(i, min(i+band, p.m))
			e.matrix(&part)
		}
		return
	}
	if p.rounded() && c.stretch < p.k {
		e.throughWide(p)
		return
	}
	e.edges = c.strips(e.edges[:0], p.n, e.team.Threads(), e.kernel)
	strips, chunks := len(e.edges)-1, (p.m+c.rows-1)/c.rows
	halved := c.halved(strips, p.m, e.team.Threads(), e.kernel)
	e.shared = e.shared.grow(c.shared(&pl))
	e.ownStrips()
	for k0 := 0; k0 < p.k; k0 += c.stretch {
		pl.k0, pl.k1 = k0, min(k0+c.stretch, p.k)
		if c.mp > 0 {
			pl.sharedA = e.shared.at(0)
		}
		if c.np > 0 {
			pl.sharedB = e.shared.at(c.mp * (pl.k1 - k0))
		}
		if c.mp+c.np > 0 {
			e.pack(&pl)
		}
		e.team.Run(strips*chunks+halved, func(worker, task int) {
			i0, i1, j := c.task(task, p.m, strips, halved, e.kernel)
			e.ws[worker].compute(&pl, i0, i1, e.edges[j], e.edges[j+1])
		})
	}
	for i := range e.ws {
		e.ws[i].forget()
	}
}

// A share is the part of an operand's block that one packing task copies: so many panels, so
// many steps of k. Where a step of k is a row of the matrix, a task reads long pieces of few
// rows; where it is a column, all of few rows.
type share struct{ panels, steps int }

func newShare(stepIsRow bool, depth int) share {
	if stepIsRow {
		return share{64, 64}
	}
	return share{8, depth}
}

// tasks is the number of shares along n rows or columns, width in a panel, and along k.
func (s share) tasks(n, width, depth int) (across, along int) {
	return (n + s.panels*width - 1) / (s.panels * width), (depth + s.steps - 1) / s.steps
}

// pack fills the plan's shared panels.
func (e *Engine) pack(pl *plan) {
	kn := e.kernel
	blocks := (pl.k1 - pl.k0 + pl.depth - 1) / pl.depth
	shareA, shareB := newShare(pl.transA, pl.depth), newShare(!pl.transB, pl.depth)
	var acrossA, alongA, acrossB, alongB int
	if pl.sharedA != nil {
		acrossA, alongA = shareA.tasks(pl.m, kn.rows, pl.depth)
	}
	if pl.sharedB != nil {
		acrossB, alongB = shareB.tasks(pl.n, kn.cols, pl.depth)
	}
	tasksA := acrossA * alongA
	tasks := tasksA + acrossB*alongB
	e.team.Run(blocks*tasks, func(worker, task int) {
		kb := pl.k0 + task/tasks*pl.depth
		k := min(pl.depth, pl.k1-kb)
		if task %= tasks; task < tasksA {
			i, from := task%acrossA*shareA.panels*kn.rows, task/acrossA*shareA.steps
			e.ws[worker].packA(pl, pl.panelsA(kb, k, i), kb, k, i, min(shareA.panels*kn.rows, pl.m-i), from,
				min(from+shareA.steps, k))
			return
		}
		task -= tasksA
		j, from := task%acrossB*shareB.panels*kn.cols, task/acrossB*shareB.steps
		n := min(shareB.panels*kn.cols, pl.n-j)
		if from < k { // the last block may be shorter
			s := kn.layout(pl.panelsB(kb, k, j), apart(k, kn.cols), n).from(from)
			e.ws[worker].packStrip(s, pl, kb+from, min(shareB.steps, k-from), j, n)
		}
	})
}

// panelsA and panelsB are where row i or column j of the block at kb begins.
func (pl *plan) panelsA(kb, k, i int) unsafe.Pointer {
	return unsafe.Add(pl.sharedA, 4*((kb-pl.k0)*roundUp(pl.m, pl.kernel.rows)+i*k))
}

func (pl *plan) panelsB(kb, k, j int) unsafe.Pointer {
	kn := pl.kernel
	return unsafe.Add(pl.sharedB, (kb-pl.k0)/pl.depth*4*kn.floats(pl.depth, pl.n)+j/kn.cols*apart(k, kn.cols))
}

// packA packs rows [i, i+m) of op(A), of the block [k0, k0+k) the steps [from, to); all of them
// where A is not transposed.
func (w *Workspace) packA(pl *plan, dst unsafe.Pointer, k0, k, i, m, from, to int) {
	kn := pl.kernel
	switch {
	case kn.parts != nil:
		w.packPartsA(pl, dst, k0, k, i, m, from, to)
		return
	case kn.blocks != nil && pl.transA:
		w.packPairsA(unsafe.Add(dst, 4*from), 4*k, &pl.a, k0+from, max(0, to-from), i, m)
		return
	case kn.blocks != nil: // in float32
		for r := range m {
			roundRow(unsafe.Add(dst, 4*r*k), pl.wideA.at((i+r)*pl.wideA.ld+2*k0), 2*k)
		}
		return
	case pl.transA:
		if from < to {
			pl.a.packRows(kn, kn.rowsA[pl.a.format], unsafe.Add(dst, 4*from*kn.rows), kn.rows, 4*k*kn.rows, k0+from, to-from, i, m)
		}
		return
	}
	a, row, l := pl.a, i, k0
	if pl.wideA.data != nil {
		data, ld := w.roundA(pl.product, i, m, k0, k)
		a, row, l = Matrix{formatF32, data, m * ld / 4, ld / 4}, 0, 0
	}
	for r := 0; r < m; r += kn.rows {
		if rows := 4 * kn.rows; pl.narrowA() && r%rows == 0 {
			a, row, l = w.widened16(&pl.a, i+r, min(rows, m-r), k0, k, offWays(k)), -r, 0
		}
		w.packCols(kn.colsA, unsafe.Add(dst, 4*r*k), kn.rows, &a, l, k, row+r, min(kn.rows, m-r))
	}
}

// compute adds the plan's blocks of k to rows [i0, i1) and columns [j0, j1) of C.
func (w *Workspace) compute(pl *plan, i0, i1, j0, j1 int) {
	if pl.kernel.blocks != nil {
		w.computeBlocks(pl, i0, i1, j0, j1)
		return
	}
	kn, t := pl.kernel, &w.tile
	t.alpha, t.ldc, t.spill = pl.alpha, 4*pl.ldc, &w.spill
	var c unsafe.Pointer
	w.rounding, t.half = rounding{}, kn.halves && pl.to == formatPairs && pl.once()
	switch {
	case t.half:
		c, t.ldc = unsafe.Add(pl.c, 2*(i0*pl.ldc+j0)), 2*pl.ldc
	case pl.rounded():
		c = w.begin(pl, i0, i1, j0, j1)
		t.ldc = w.step
	default:
		c = unsafe.Add(pl.c, 4*(i0*pl.ldc+j0))
	}
	for kb := pl.k0; kb < pl.k1; kb += pl.depth {
		t.k = min(pl.depth, pl.k1-kb)
		t.acc = pl.adds() || kb > 0
		w.load, w.done = pl.adds() && kb == pl.k0, kb+pl.depth >= pl.k1
		var s packedStrip
		switch {
		case pl.packed != nil:
			s = pl.packed.strip(kn, j1-j0)
		case pl.sharedB != nil:
			s = kn.layout(pl.panelsB(kb, t.k, j0), apart(t.k, kn.cols), j1-j0)
		default:
			s = w.strip(pl, kb, j0, j1, i1-i0)
		}
		switch {
		case pl.sharedA != nil:
			t.rs, t.ks = kn.place(0, 1, kn.rows), 4*kn.rows
			w.rowsTimes(&s, pl.panelsA(kb, t.k, i0), kn.rows, t.k*t.ks, 0, i1-i0, 0, c)
		case pl.wideA.data != nil: // rounded, as many rows as stay in the cache beside B
			chunk := 4 * kn.rows
			for i := i0; i < i1; i += chunk {
				m := min(chunk, i1-i)
				a, ld := w.roundA(pl.product, i, m, kb, t.k)
				t.rs, t.ks = ld, 4
				w.rowsTimes(&s, a, kn.rows, kn.rows*ld, i-i0, i-i0+m, 0, c)
			}
		case pl.narrowA(): // widened, as many rows as a panel is read for
			chunk := roundUp(max(kn.rows, kn.chunk), kn.rows)
			for i := i0; i < i1; i += chunk {
				m := min(chunk, i1-i)
				a := w.widened16(&pl.a, i, m, kb, t.k, offWays(t.k))
				t.rs, t.ks = 4*a.ld, 4
				w.rowsTimes(&s, a.data, kn.rows, kn.rows*t.rs, i-i0, i-i0+m, 0, c)
			}
		case !pl.transA: // read where it lies
			t.rs, t.ks = 4*pl.a.ld, 4
			rows := kn.rowsInPlace(t.rs)
			if pl.packed != nil {
				w.ahead, w.next = 0, 0
				w.panelsTimes(&s, pl.a.at(i0*pl.a.ld+kb), rows, rows*t.rs, i1-i0, c)
				continue
			}
			after := 0
			if kb+pl.depth < pl.k1 {
				after = 4 * pl.depth
			}
			w.rowsTimes(&s, pl.a.at(i0*pl.a.ld+kb), rows, rows*t.rs, 0, i1-i0, after, c)
		case j1-j0 <= kn.cols && pl.a.format == formatF32 && !kn.packsColumns: // of one panel, for which nothing is read twice
			t.rs, t.ks = 4, 4*pl.a.ld
			w.rowsTimes(&s, pl.a.at(kb*pl.a.ld+i0), kn.rows, 4*kn.rows, 0, i1-i0, 0, c)
		default: // pack as many rows as stay in the cache beside B
			t.rs, t.ks = kn.place(0, 1, kn.rows), 4*kn.rows
			chunk := 16 * kn.rows
			w.a = grow(w.a, chunk*t.k)
			a := unsafe.Pointer(unsafe.SliceData(w.a))
			for i := i0; i < i1; i += chunk {
				m := min(chunk, i1-i)
				w.packA(pl, a, kb, t.k, i, m, 0, t.k)
				w.rowsTimes(&s, a, kn.rows, t.k*t.ks, i-i0, i-i0+m, 0, c)
			}
		}
	}
}

// strip packs B's part of one block, or leaves it where it lies if too few rows
// of A would repay the copy.
func (w *Workspace) strip(pl *plan, kb, j0, j1, m int) packedStrip {
	kn, k, n := pl.kernel, w.tile.k, j1-j0
	w.b = grow(w.b, kn.floats(k, n))
	s := kn.layout(unsafe.Pointer(unsafe.SliceData(w.b)), apart(k, kn.cols), n)
	if m > 2*kn.rows || pl.transB || pl.b.format != formatF32 || kn.parts != nil {
		w.packStrip(s, pl, kb, k, j0, n)
		return s
	}
	s.data, s.step, s.bs = pl.b.at(kb*pl.b.ld+j0), 4*kn.cols, 4*pl.b.ld
	if s.rest > 0 {
		tail := s
		tail.full, tail.bs = 0, 4*kn.cols
		w.packB(tail, &pl.b, false, kb, k, j0+s.full*kn.cols, s.rest)
	}
	return s
}

// packStrip packs rows [k0, k0+k) and columns [j0, j0+n) of op(B).
func (w *Workspace) packStrip(s packedStrip, pl *plan, k0, k, j0, n int) {
	if w.kernel.parts != nil {
		w.packPartsB(s, &pl.b, pl.transB, k0, min(k, pl.given-k0), k, j0, n)
		return
	}
	w.packB(s, &pl.b, pl.transB, k0, k, j0, n)
}

// rowsInPlace is the rows of a tile whose A is read where it lies, rs bytes from row to row. At a multiple
// of waySize the lines of all rows compete for the ways of one set: more rows than those, and each line is
// gone before its next element is read.
func (kn *kernel) rowsInPlace(rs int) int {
	if kn.oneSet > 0 && rs%waySize == 0 {
		return kn.oneSet
	}
	return kn.rows
}

// InOneSet reports whether rows of float32 so far apart push each other out of a level-1 cache: products take fewer in a tile then.
func InOneSet(lda int) bool { return 4*lda%waySize == 0 }

// rowsTimes runs the task's rows [from, to), so many in a tile, of A from a on, step bytes from one tile's to
// the next, against a strip. after is the bytes from a to what the task reads then, if it is more of A.
func (w *Workspace) rowsTimes(s *packedStrip, a unsafe.Pointer, rows, step, from, to, after int, c unsafe.Pointer) {
	chunk := max(rows, w.kernel.chunk/rows*rows)
	for i := from; i < to; i += chunk {
		m, at := min(chunk, to-i), (i-from)/rows*step
		switch w.ahead, w.next = step, 0; {
		case i+chunk < to:
			w.next = step
		case after > 0:
			w.next = after - at - (m-1)/rows*step
		}
		if part := unsafe.Add(a, at); w.rounding.c == nil {
			w.panelsTimes(s, part, rows, step, m, unsafe.Add(c, i*w.tile.ldc))
		} else {
			w.rounded(s, part, rows, step, i, m, c)
		}
	}
}

// panelsTimes multiplies m rows of A, so many in a tile, with a strip, panel by panel: where they are those of several
// tiles, all of them stay in the level-2 cache, the panel in that of level 1, and a step of a tile's rows, which come from
// further away, is less than half of a panel's.
func (w *Workspace) panelsTimes(s *packedStrip, a unsafe.Pointer, rows, step, m int, c unsafe.Pointer) {
	t, kn := &w.tile, w.kernel
	size := 4 // of an element of C
	if t.half {
		size = 2
	}
	t.bs = s.bs
	t.columns(kn.cols, kn.cols)
	if s.full > 0 {
		whole, last := w.microKernels(kn.full, kn.aheadFull, rows, m)
		for p := range s.full {
			t.b = unsafe.Add(s.data, p*s.step)
			w.column(&whole, &last, p, a, rows, step, m, unsafe.Add(c, size*p*kn.cols))
		}
	}
	if s.rest > 0 {
		t.b, t.bs = s.tail, s.tbs
		t.columns(s.rest, s.tbs/4)
		whole, last := w.microKernels(s.tails, s.ahead, rows, m)
		w.column(&whole, &last, s.full, a, rows, step, m, unsafe.Add(c, size*s.full*kn.cols))
	}
}

// column computes one column of tiles, that of a strip's panel p. It is a call of its own, with a frame, because its
// prologue is where the scheduler can stop a loop of assembly calls.
//
//go:noinline
func (w *Workspace) column(whole, last *microKernel, p int, a unsafe.Pointer, rows, step, m int, c unsafe.Pointer) {
	t := &w.tile
	if m > rows {
		f, fetched := whole.of(p, w.ahead)
		for ; m > rows; m -= rows {
			t.a, t.c, t.ahead = a, c, fetched
			f(t)
			a, c = unsafe.Add(a, step), unsafe.Add(c, rows*t.ldc)
		}
	}
	f, fetched := last.of(p, w.next)
	t.a, t.c, t.ahead = a, c, fetched
	f(t)
}

// A microKernel is what computes the tiles of so many rows in one kind of panel.
type microKernel struct {
	plain, ahead func(*tile) // ahead, if there is one, fetches what is read next, in the first panel
	// A dense one fetches the next panel of A, of so many bytes, in every panel a share.
	panel, share int
}

// of is what computes a tile of panel p, and the bytes from its A to what it fetches meanwhile. next is those to the rows that
// are read then, or 0.
func (k *microKernel) of(p, next int) (f func(*tile), fetched int) {
	if p*k.share < k.panel {
		return k.plain, k.panel + p*k.share
	}
	if p == 0 && next != 0 && k.ahead != nil {
		return k.ahead, next
	}
	return k.plain, 0
}

// microKernels are those of m rows, so many in a tile, and of the rows of the last tile.
func (w *Workspace) microKernels(tiles, ahead []func(*tile), rows, m int) (whole, last microKernel) {
	if m >= rows {
		whole = w.microKernel(tiles, ahead, rows)
		last = whole
	}
	if rest := m % rows; rest > 0 {
		last = w.microKernel(tiles, ahead, rest)
	}
	return whole, last
}

// microKernel is that of n rows in the panel that the tile has.
func (w *Workspace) microKernel(tiles, ahead []func(*tile), n int) microKernel {
	t, kn := &w.tile, w.kernel
	var whole wholeTiles
	switch {
	case t.mask != nil || t.k < kn.least:
	case t.bs == 4*kn.cols:
		whole = kn.whole[1]
	case t.bs == 2*kn.cols:
		whole = kn.whole[0]
	}
	k := microKernel{plain: tiles[n]}
	switch {
	case whole.dense != nil && n == kn.rows && t.ks == 4*n:
		return microKernel{plain: whole.dense, panel: t.k * t.ks, share: t.k / denseRound * 64}
	case t.ks == 4 && n < len(whole.inPlace) && whole.inPlace[n] != nil:
		k.plain, ahead = whole.inPlace[n], whole.ahead
	}
	if t.ks == 4 && n < len(ahead) {
		k.ahead = ahead[n]
	}
	return k
}
