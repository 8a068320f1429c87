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

// sharedLimit (a variable for tests) is the most floats of shared panels at a time (64 MiB).
var sharedLimit = 16 << 20

// cachedLimit is the same where B's panels are among them (2 MiB): a product of few columns
// reads all of them again for every few rows, and should find them in a cache.
const cachedLimit = 1 << 19

// mostKeptRows bounds the rows of a task that becomes 16 bits: about 1 MiB with the widest strip.
const mostKeptRows = 1024

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

// A cut is how a team shares a product.
type cut struct {
	width, rows int  // of a task: columns and rows of C
	mp, np      int  // rows of A and columns of B that are packed for all, or 0
	stretch     int  // of k, for which they are packed at a time
	own         bool // one task a thread, all as large, or a few: keptRows
}

// ownCut gives every thread one task that packs for itself, if they are about as large. Where a product has few rows
// and columns along many steps of k, as gradients of thin weights and of logits have, threads would wait for each
// other after every stretch, and read what others have packed out of their caches: that costs more than to read A
// twice, or to pack the smaller operand twice where it must be packed.
func ownCut(pl *plan, threads int) (c cut, ok bool) {
	kn := pl.kernel
	c = cut{width: pl.n, rows: pl.m, stretch: pl.k, own: true}
	even := func(n, whole int) (size int, ok bool) {
		size = roundUp((n+threads-1)/threads, whole)
		return size, 9*threads*size <= 10*n
	}
	wide := pl.wideA.data != nil || kn.parts != nil
	if wide || pl.narrowA() || pl.transA && pl.m > pl.n {
		c.rows, ok = even(pl.m, kn.rows)
		most := kn.strip
		if !pl.transA { // of two strips' tasks each would round, split or widen all of A
			most += kn.strip / 4
		}
		if ok = ok && c.rows >= 4*kn.rows && pl.n <= most; ok || !pl.narrowA() {
			return c, ok
		}
		c.rows = pl.m
	}
	c.width, ok = even(pl.n, kn.cols/2)
	return c, ok && c.width >= 2*kn.cols && c.width <= max(kn.strip, kn.widest) && pl.m <= mostOwnRows
}

// mostOwnRows is the most rows of A that all threads read.
const mostOwnRows = 512

// ownCuts is a variable for tests, which turn them off to see the others.
var ownCuts = true

func newCut(pl *plan, threads int) cut {
	kn := pl.kernel
	c := cut{width: min(kn.strip, max(64, roundUp((pl.n+4*threads-1)/(4*threads), kn.cols))), rows: pl.m, stretch: pl.k}
	if threads > 1 && (pl.n+c.width-1)/c.width < 3*threads { // too few strips: cut the rows as well
		if own, ok := ownCut(pl, threads); ok && ownCuts {
			own.rows = pl.keptRows(own.rows)
			return own
		}
		strips := (pl.n + kn.strip - 1) / kn.strip
		c.width = roundUp((pl.n+strips-1)/strips, kn.cols)
		c.rows = 16 * kn.rows
		if pl.transA { // as many tasks for everybody, not more: its columns would be packed in pieces too short
			tasks := roundUp((pl.m+c.rows-1)/c.rows*strips, threads)
			c.rows = min(c.rows, roundUp((pl.m*strips+tasks-1)/tasks, kn.rows))
		} else {
			c.rows = min(c.rows, max(4*kn.rows, roundUp((pl.m*strips+8*threads-1)/(8*threads), kn.rows)))
		}
		c.np = roundUp(pl.n, kn.cols)
	}
	// Panels of A are read faster than its rows, and a transposed A only so. Rows of one block of k lie as close as panels
	// do, and are fetched ahead as well: there it takes more strips to repay the copy.
	strips, repaid := (pl.n+c.width-1)/c.width, 4
	if kn.chunk > 0 && pl.k <= kn.kc {
		repaid = 16
	}
	copied := kn.blocks == nil || pl.wideA.data != nil // else rows of tiles are read as fast where they lie
	if pl.transA && strips > 1 || strips >= repaid && pl.m > 4*kn.rows && copied {
		c.mp = roundUp(pl.m, kn.rows)
	}
	c.rows = pl.keptRows(c.rows)
	if c.mp+c.np > 0 {
		limit := sharedLimit
		if c.np > 0 {
			limit = min(limit, cachedLimit)
		}
		c.stretch = max(1, limit/((c.mp+c.np)*pl.depth)) * pl.depth
	}
	return c
}

// strips appends the columns where the strips begin, and n. Where a strip has all rows of C there are as many of a width
// as threads, and the last ones are narrower: threads of one speed end together, and nobody waits long for a slower one.
func (c *cut) strips(edges []int, n, threads int, kn *kernel) []int {
	narrower := threads > 1 && c.np == 0 && !c.own
	for j := 0; j < n; {
		width := c.width
		if left := n - j; narrower {
			width = min(width, left/(2*threads)/kn.cols*kn.cols)
			if width < leastPanels*kn.cols { // the last
				width = min(c.width, roundUp((left+threads-1)/threads, kn.cols))
			}
		}
		for i := 0; i < threads && j < n; i++ {
			edges = append(edges, j)
			j = min(j+width, n)
		}
	}
	return append(edges, n)
}

// leastPanels is the panels of the narrowest of the strips that have all rows of C, but for the last.
const leastPanels = 3

// shared is the floats of the panels that are packed for all.
func (c *cut) shared(pl *plan) int {
	k := min(c.stretch, pl.k)
	return c.mp*k + (k+pl.depth-1)/pl.depth*pl.kernel.floats(pl.depth, c.np)
}

// bandLimit (a variable for tests) is the most floats of a transposed A's panels at a time (32 MiB).
var bandLimit = 8 << 20

// leastBand is the least rows of a band that has all of k: fewer would not repay B's panels, which each packs again.
const leastBand = 512

// band is the rows of C for which A is packed at a time. Of a transposed one a block of k of many thousands, as the gradient of
// a head's weight has, would need more than sharedLimit. Of another one, where C is in 16 bits, several stretches of k would
// keep all of C in float32: a band has all of k. Every band costs a wait, and B packed once more.
func (c *cut) band(pl *plan) int {
	kn := pl.kernel
	rows, least := bandLimit/min(c.stretch, pl.k), kn.rows
	switch inFloats := kn.blocks == nil && pl.a.format != formatPairs; {
	case pl.transA && !inFloats:
		return pl.m
	case !pl.transA:
		if !pl.rounded() || c.stretch >= pl.k || c.np > 0 {
			return pl.m
		}
		rows, least = sharedLimit/roundUp(pl.k, pl.depth), leastBand
	}
	if rows = rows / kn.rows * kn.rows; c.mp <= rows || rows < least {
		return pl.m
	}
	bands := (pl.m + rows - 1) / rows
	return roundUp((pl.m+bands-1)/bands, kn.rows)
}

// rows is the product of rows [from, to) of op(A).
func (p product) rows(from, to int) product {
	p.m = to - from
	for _, a := range []*Matrix{&p.a, &p.wideA} {
		skip := from // elements
		if !p.transA {
			skip *= a.ld
		}
		if a.data != nil {
			a.data, a.len = a.at(skip), a.len-skip
		}
	}
	p.c = unsafe.Add(p.c, p.to.size()*from*p.ldc)
	if p.plus.data != nil {
		p.plus.data = p.plus.at(from * p.plus.ld)
	}
	return p
}

// SharedBytes is the scratch memory that an Engine of so many threads needs for C = op(A)
// op(B) beside its workers' own, for each of which 2 MiB are enough.
func SharedBytes(threads int, transA bool, m, n, k int) int {
	p := product{transA: transA, m: m, n: n, k: k}
	return p.bytes(threads, &kernels[0])
}

func (p *product) bytes(threads int, kn *kernel) int {
	if p.m < 2 || p.n < 2 || p.k < 1 || p.m*p.n*p.k <= alone {
		return 0
	}
	pl := newPlan(p, kn)
	c := newCut(&pl, threads)
	if band := c.band(&pl); band < p.m {
		part := *p
		part.m = band
		return part.bytes(threads, kn)
	}
	bytes := panelBytes(c.shared(&pl))
	if p.rounded() && c.stretch < p.k {
		bytes += 4 * p.m * p.n
	}
	return bytes
}

// BgemmBytes is SharedBytes for Bgemm with an A that is float32, or bfloat16, and a bfloat16 C, or a float32 one; false: it
// does not compute this.
func BgemmBytes(threads int, transA, wideA, rounded bool, m, n, k int) (int, bool) {
	if m < 2 || n < 2 || k < 2 || !multipliesAlong(k) {
		return 0, false
	}
	a, c := BF16([]uint16{0}, 1), Matrix{}
	before := 0 // bytes of an A that is rounded before
	if a0 := F32([]float32{0}, 1); wideA && roundedBefore(0, &a0, transA) {
		before = 2 * k * roundUp(m, 2)
	} else if wideA {
		a = a0
	}
	if rounded {
		c.format = formatBF16
	}
	p := newPairProduct(transA, false, m, n, k, 1, a, Matrix{}, c, false)
	return p.bytes(threads, &pairKernels()[0]) + before, true
}

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
		e.team.Run(strips*chunks, func(worker, task int) {
			i, j := task/strips*c.rows, task%strips
			e.ws[worker].compute(&pl, i, min(i+c.rows, p.m), e.edges[j], e.edges[j+1])
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
		data, ld := w.roundA(pl, i, m, k0, k)
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
				a, ld := w.roundA(pl, i, m, kb, t.k)
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
			rows := rowsInPlace(kn.rows, t.rs)
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
func rowsInPlace(rows, rs int) int {
	if rows > 8 && rs%waySize == 0 {
		return rows / 2
	}
	return rows
}

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
	for p := range s.full {
		t.b = unsafe.Add(s.data, p*s.step)
		w.column(kn.full, kn.aheadFull, p, a, rows, step, m, unsafe.Add(c, size*p*kn.cols))
	}
	if s.rest > 0 {
		t.b, t.bs = s.tail, s.tbs
		t.columns(s.rest, s.tbs/4)
		w.column(s.tails, s.ahead, s.full, a, rows, step, m, unsafe.Add(c, size*s.full*kn.cols))
	}
}

// column computes one column of tiles, that of a strip's panel p. It is a call of its own, with a frame, because its
// prologue is where the scheduler can stop a loop of assembly calls.
//
//go:noinline
func (w *Workspace) column(tiles, ahead []func(*tile), p int, a unsafe.Pointer, rows, step, m int, c unsafe.Pointer) {
	t := &w.tile
	f, fetched := w.microKernel(tiles, ahead, p, min(rows, m), w.ahead)
	for ; m > rows; m -= rows {
		t.a, t.c, t.ahead = a, c, fetched
		f(t)
		a, c = unsafe.Add(a, step), unsafe.Add(c, rows*t.ldc)
	}
	f, fetched = w.microKernel(tiles, ahead, p, m, w.next)
	t.a, t.c, t.ahead = a, c, fetched
	f(t)
}

// microKernel is what computes a tile of n rows of panel p, and the bytes from its A to what it fetches meanwhile. next is
// the bytes to the rows that are read then, or 0.
func (w *Workspace) microKernel(tiles, ahead []func(*tile), p, n, next int) (f func(*tile), fetched int) {
	t, kn := &w.tile, w.kernel
	var whole wholeTiles
	switch {
	case t.mask != nil || t.k < kn.least:
	case t.bs == 4*kn.cols:
		whole = kn.whole[1]
	case t.bs == 2*kn.cols:
		whole = kn.whole[0]
	}
	switch {
	case whole.dense != nil && n == kn.rows && t.ks == 4*n:
		if panel, share := t.k*t.ks, t.k/denseRound*64; p*share < panel { // the next panel of A, as much of it as a tile fetches
			fetched = panel + p*share
		}
		return whole.dense, fetched
	case t.ks == 4 && n < len(whole.inPlace) && whole.inPlace[n] != nil:
		if p == 0 && next != 0 {
			return whole.ahead[n], next
		}
		return whole.inPlace[n], 0
	case p == 0 && next != 0 && t.ks == 4 && n < len(ahead) && ahead[n] != nil:
		return ahead[n], next
	}
	return tiles[n], 0
}
