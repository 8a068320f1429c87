package gemm

import (
	"unsafe"
)

// A product by parts takes each float32 x as two numbers of bfloat16, hi and lo, which are x rounded and what that leaves,
// rounded. Of the four products of parts it adds three, in float32: hi lo, hi hi, lo hi. lo lo is at most 2^-16 of the product.
//
//	largest := 0x1.fep127 // of bfloat16
//	hi := bf16(min(max(x, -largest), largest))
//	lo := bf16(x - hi)
//
// So hi is finite where x is, and of an infinity hi is the largest number and lo the infinity: what it is multiplied with
// has a sum that is infinite, or NaN where float32's is. Parts that are denormal are zero.
//
// A tile along k is 32 numbers. A packed row of A has 64 bytes of hi and 64 of lo for each, a panel of B a row for every pair
// of rows: hi of all its columns, then lo. Both take as many bytes as the numbers. k is made up to whole tiles by zeros.

// partPackers split operands for a kernel of parts.
type partPackers struct {
	// row splits n times 32 numbers of a row, 64 bytes each of hi and of lo, step bytes apart.
	row func(hi, lo unsafe.Pointer, step int, src unsafe.Pointer, n int)
	// narrow and full split k pairs of rows, ld bytes from row to row, into panels of 16 and of 32 columns.
	narrow, full rowsPacker
	// transpose makes n squares of 16 x 16 pairs, ld bytes from row to row and nextSrc from one to the next, columns.
	transpose func(dst unsafe.Pointer, step, nextDst int, src unsafe.Pointer, ld, nextSrc, n int)
}

// partSteps is the numbers along k of a tile.
const partSteps = 2 * tileSize

// leastParts is the least of m, n and k for which a product is computed by parts. To split a number takes about as long
// as sixteen multiply-adds of float32, so where it meets but few others nothing is gained.
const leastParts = partSteps

// HasParts reports whether products of float32 can be computed by parts here, on AMX.
func HasParts() bool { return len(partKernels()) > 0 }

// KernelParts is the name of the kernel that computes by parts; "": there is none here.
func KernelParts() string {
	if !HasParts() {
		return ""
	}
	return partKernels()[0].name
}

// byParts reports whether a product is computed by parts, where that is asked for. The shape decides, and the processor.
func (p *product) byParts() bool {
	return HasParts() && p.m >= leastParts && p.n >= leastParts && p.k >= leastParts
}

// inParts is the product for a kernel of parts.
func (p product) inParts() product {
	p.given, p.k = p.k, roundUp(p.k, partSteps)
	return p
}

// parts is the engine that multiplies by parts, with the same team.
func (e *Engine) parts() *Engine {
	e.partsOnce.Do(func() { e.ofParts = newEngine(e.team, partKernels()[0]) })
	return e.ofParts
}

// runParts is run for a product by parts.
func (w *Workspace) runParts(p product) {
	if w.ofParts == nil {
		w.ofParts = &Workspace{kernel: &partKernels()[0]}
	}
	w.ofParts.run(p.inParts())
}

// PartsBytes is SharedBytes of a product by parts; false: it is computed otherwise.
func PartsBytes(threads int, transA bool, m, n, k int) (int, bool) {
	p := product{transA: transA, m: m, n: n, k: k}
	if !p.byParts() {
		return 0, false
	}
	if m*n*k <= alone {
		return 0, true
	}
	p = p.inParts()
	pl := newPlan(&p, &partKernels()[0])
	c := newCut(&pl, threads)
	return panelBytes(c.shared(&pl)), true
}

// A partMemory is what a workspace splits with.
type partMemory struct {
	edge []float32 // a tile that reaches beyond its matrix, zeros around
	rows []float32 // parts that are still to be transposed
}

func (p *partMemory) bytes() int { return 4 * (cap(p.edge) + cap(p.rows)) }

// memory is room for parts.
func (p *partMemory) memory(bytes int) unsafe.Pointer {
	p.rows = grow(p.rows, bytes/4)
	return unsafe.Pointer(unsafe.SliceData(p.rows))
}

// edged copies rows of so many columns, ld elements apart, to a tile of zeros.
func (p *partMemory) edged(from unsafe.Pointer, ld, rows, cols int) unsafe.Pointer {
	p.edge = grow(p.edge, partSteps*panelSize)
	clear(p.edge)
	for r := range rows {
		copy(p.edge[r*panelSize:], unsafe.Slice((*float32)(unsafe.Add(from, 4*r*ld)), cols))
	}
	return unsafe.Pointer(unsafe.SliceData(p.edge))
}

// splitRow splits n numbers of a row into k, a multiple of a tile's, step bytes from a tile's parts to the next.
func (w *Workspace) splitRow(hi, lo unsafe.Pointer, step int, src unsafe.Pointer, n, k int) {
	split, whole := w.kernel.parts.row, n/partSteps
	if whole > 0 {
		split(hi, lo, step, src, whole)
	}
	if whole*partSteps < k {
		rest := w.part.edged(unsafe.Add(src, 4*whole*partSteps), 0, 1, n-whole*partSteps)
		split(unsafe.Add(hi, whole*step), unsafe.Add(lo, whole*step), step, rest, 1)
	}
}

// partChunk is the rows of A that are transposed at a time: with 32 steps of k they stay in the level-1 cache.
const partChunk = 4 * panelSize

// packPartsA splits rows [i, i+m) of op(A), of the block [k0, k0+k) the steps [from, to); all of them where A is not
// transposed. Rows of dst are 4*k bytes apart.
func (w *Workspace) packPartsA(pl *plan, dst unsafe.Pointer, k0, k, i, m, from, to int) {
	const tile = 4 * partSteps // bytes
	a, given := &pl.a, pl.given-k0
	if !pl.transA {
		for r := range m {
			to := unsafe.Add(dst, 4*r*k)
			w.splitRow(to, unsafe.Add(to, tile/2), tile, a.at((i+r)*a.ld+k0), min(k, given), k)
		}
		return
	}
	panel := packedStrip{data: w.part.memory(partChunk * tile), step: tile * panelSize, bs: 4 * panelSize}
	for c := 0; c < m; c += partChunk {
		rows := min(partChunk, m-c)
		for l := from; l < to; l += partSteps {
			w.splitPairs(w.kernel.parts.full, panel, a, k0+l, min(partSteps, given-l), partSteps, i+c, rows)
			for part := range 2 {
				for half := range 2 {
					w.kernel.parts.transpose(unsafe.Add(dst, 4*(c+half*tileSize)*k+4*l+part*tile/2), 4*k, 4*panelSize*k,
						unsafe.Add(panel.data, part*panel.bs+half*panel.bs/2), 2*panel.bs, panel.step, (rows+panelSize-1)/panelSize)
				}
			}
		}
	}
}

// splitPairs splits rows [k0, k0+given) and columns [j0, j0+n) of b into a strip's panels, of k steps.
func (w *Workspace) splitPairs(split rowsPacker, s packedStrip, b *Matrix, k0, given, k, j0, n int) {
	width, at, ld := s.bs/4, b.at(k0*b.ld+j0), 4*b.ld
	rows, panels := given&^(partSteps-1), n/width
	if rows > 0 && panels > 0 {
		split(s.data, at, ld, rows/2, panels, s.step)
	}
	for p := 0; p*width < n; p++ {
		first := 0
		if p < panels {
			first = rows
		}
		for l := first; l < k; l += partSteps {
			tile := w.part.edged(unsafe.Add(at, l*ld+4*p*width), b.ld, min(partSteps, given-l), min(width, n-p*width))
			split(unsafe.Add(s.data, p*s.step+l*s.bs), tile, 4*panelSize, partSteps/2, 1, 0)
		}
	}
}

// packPartsB is packB for parts, of a block [k0, k0+k) of which b has so many rows as are given.
func (w *Workspace) packPartsB(s packedStrip, b *Matrix, trans bool, k0, given, k, j0, n int) {
	switch {
	case b.format != formatF32 && trans: // panel by panel
		for p := 0; p < n; p += panelSize {
			cols := min(panelSize, n-p)
			m := w.widened(b, j0+p, cols, k0, given)
			w.packPartsB(s.panel(p, cols), &m, true, 0, given, k, 0, cols)
		}
		return
	case b.format != formatF32:
		for l := 0; l < k; l += partSteps {
			rows := min(partSteps, given-l)
			m := w.widened(b, k0+l, rows, j0, n)
			w.packPartsB(s.from(l), &m, false, 0, rows, partSteps, 0, n)
		}
		return
	case !trans:
		if s.full > 0 {
			w.splitPairs(w.kernel.parts.full, s, b, k0, given, k, j0, s.full*panelSize)
		}
		if s.rest > 0 {
			split := w.kernel.parts.full
			if s.tbs < s.bs {
				split = w.kernel.parts.narrow
			}
			tail := packedStrip{data: s.tail, bs: s.tbs}
			w.splitPairs(split, tail, b, k0, given, k, j0+s.full*panelSize, s.rest)
		}
		return
	}
	// 16 columns at a time, which are rows of b: a row of hi, then one of lo, from each.
	ld := 4*k + 64 // not a multiple of waySize
	memory := w.part.memory(tileSize * ld)
	for j := 0; j < n; j += tileSize {
		at, bs := unsafe.Add(s.data, j/panelSize*s.step), s.bs
		if j >= s.full*panelSize {
			at, bs = s.tail, s.tbs
		}
		for r := range min(tileSize, n-j) {
			row := unsafe.Add(memory, r*ld)
			w.splitRow(row, unsafe.Add(row, 2*k), 64, b.at((j0+j+r)*b.ld+k0), given, k)
		}
		for part := range 2 {
			w.kernel.parts.transpose(unsafe.Add(at, 4*(j%panelSize)+part*bs), 2*bs, 2*tileSize*bs, unsafe.Add(memory, part*2*k), ld, 64,
				k/partSteps)
		}
	}
}

// panel is the strip's panel from column j on, of so many columns, as a strip.
func (s packedStrip) panel(j, cols int) packedStrip {
	s.data = unsafe.Add(s.data, j/panelSize*s.step)
	if s.full, s.rest = cols/panelSize, cols%panelSize; s.full == 0 {
		s.data = s.tail
	}
	return s
}
