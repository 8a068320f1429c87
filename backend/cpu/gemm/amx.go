package gemm

import (
	"encoding/binary"
	"unsafe"
)

// A block is the argument of a routine for AMX: rows times panels of C, of one shape, from row-major A and packed
// panels of B, in pairs of bfloat16 along k.
//
//	for r := range rows { for p := range panels {
//		C's 32 rows from 32*r and the panel's columns (+)= A's rows from 32*r times B's panel p
//	} }
//
// A tile of A is 16 rows of 16 pairs, one of B 16 pairs of rows of 16 columns, one of C 16 rows of 16 columns;
// a panel has one tile or two of rows, and one or two of columns, less what config leaves out. Each element sums its
// even and its odd elements along a tile's k, adds both and adds that to C, with denormal numbers taken as zeros.
// Those by parts (parts.go) have tiles of 32 steps and add three products of each, hi lo, hi hi, lo hi, a tile of lo being 64
// bytes behind its tile of A and in the second half of its row of B.
// A routine configures the tiles and releases them: no goroutine changes its thread between. It counts in its argument,
// but leaves the pointers, for the collector of garbage may look at them.
type block struct {
	a, b, c      unsafe.Pointer
	rs, bs, ldc  int // bytes from row to row
	step         int // bytes from one panel of B to the next
	k            int // tiles along k
	rows, panels int // of panels
	acc          int // 1: C is added to
	downA, downC int // bytes to the panel of rows that is computed
	config       [64]byte
}

// blockRoutines are those of panels of 1 and 2 tiles of rows and of columns.
type blockRoutines [2][2]func(*block)

// The sizes of a tile: rows, and columns of 4 bytes; a panel has two of them.
const (
	tileSize  = 16
	panelSize = 2 * tileSize
)

// blockWork is the most multiplications of pairs that one call of a routine makes, for the goroutine cannot be stopped
// there: 34 million operations, 15 to 80 µs.
const blockWork = 1 << 23

// configure describes tiles of a panel of so many rows, columns and pairs (Intel's palette 1).
func (b *block) configure(rows, cols, pairs int) {
	b.config = [64]byte{0: 1}
	tile := func(t, rows, width int) {
		if rows > 0 && width > 0 {
			binary.LittleEndian.PutUint16(b.config[16+2*t:], uint16(4*width))
			b.config[48+t] = byte(rows)
		}
	}
	part := func(n, i int) int { return max(0, min(n-i*tileSize, tileSize)) }
	for i := range 2 {
		for j := range 2 {
			tile(2*i+j, part(rows, i), part(cols, j))
		}
		tile(4+i, part(rows, i), pairs)
		tile(6+i, pairs, part(cols, i))
	}
}

// computeBlocks is compute for a kernel of blocks.
func (w *Workspace) computeBlocks(pl *plan, i0, i1, j0, j1 int) {
	kn := pl.kernel
	w.rounding = rounding{}
	var c unsafe.Pointer
	ldc := 4 * pl.ldc
	if pl.rounded() {
		c = w.begin(pl, i0, i1, j0, j1)
		ldc = w.step
		if pl.acc {
			w.read(c, 0, i1-i0)
		}
	} else {
		c = unsafe.Add(pl.c, 4*(i0*pl.ldc+j0))
	}
	for kb := pl.k0; kb < pl.k1; kb += pl.depth {
		k := min(pl.depth, pl.k1-kb)
		w.tile.k = k
		var s packedStrip
		switch {
		case pl.packed != nil:
			s = pl.packed.strip(kn, j1-j0)
		case pl.sharedB != nil:
			s = kn.layout(pl.panelsB(kb, k, j0), apart(k, kn.cols), j1-j0)
		default:
			s = w.strip(pl, kb, j0, j1, i1-i0)
		}
		times := func(a unsafe.Pointer, rs, i, m int) {
			w.blocks(&s, a, rs, m, k, unsafe.Add(c, (i-i0)*ldc), ldc, pl.alpha, pl.acc || kb > 0)
		}
		switch {
		case pl.sharedA != nil:
			times(pl.panelsA(kb, k, i0), 4*k, i0, i1-i0)
		case pl.wideA.data == nil && !pl.transA && kn.parts == nil: // read where it lies
			times(pl.a.at(i0*pl.a.ld+kb), 4*pl.a.ld, i0, i1-i0)
		default: // as many rows as stay in the cache beside B
			chunk := 4 * kn.rows
			for i := i0; i < i1; i += chunk {
				m := min(chunk, i1-i)
				if pl.wideA.data != nil {
					a, ld := w.roundA(pl.product, i, m, kb, k)
					times(a, ld, i, m)
					continue
				}
				w.a = grow(w.a, chunk*k)
				a := unsafe.Pointer(unsafe.SliceData(w.a))
				w.packA(pl, a, kb, k, i, m, 0, k)
				times(a, 4*k, i, m)
			}
		}
	}
	if pl.rounded() {
		w.write(c, 0, i1-i0)
	}
}

// blocks is C (+)= alpha A B for m rows of A, rs bytes apart, of k pairs, and a packed strip of B.
func (w *Workspace) blocks(s *packedStrip, a unsafe.Pointer, rs, m, k int, c unsafe.Pointer, ldc int, alpha float32, acc bool) {
	cols := s.full*panelSize + s.rest
	sums, step := c, ldc
	if alpha != 1 {
		step = 4 * roundUp(cols, tileSize)
		w.scaled = grow(w.scaled, m*step/4)
		sums = unsafe.Pointer(unsafe.SliceData(w.scaled))
	}
	pairs := k // that are multiplied
	if w.kernel.parts != nil {
		pairs += k / 2
	}
	of := func(i, rows, panels, from, width int, b unsafe.Pointer, bs, next int) {
		if w.kernel.parts != nil { // a row of B is two steps
			bs *= 2
		}
		w.block = block{a: unsafe.Add(a, i*rs), b: b, c: unsafe.Add(sums, i*step+4*from), rs: rs, bs: bs, ldc: step, step: next}
		w.panels(rows, panels, width, k, acc && alpha == 1)
	}
	// Of a strip some rows at a time: whole panels of rows, then what is left.
	chunk := max(1, blockWork/(panelSize*max(1, cols)*pairs)) * panelSize
	for i := 0; i < m; {
		rows := min(chunk, (m-i)/panelSize*panelSize)
		if rows == 0 {
			rows = m - i
		}
		if s.full > 0 {
			of(i, rows, s.full, 0, panelSize, s.data, s.bs, s.step)
		}
		if s.rest > 0 {
			of(i, rows, 1, s.full*panelSize, s.rest, s.tail, s.tbs, 0)
		}
		i += rows
	}
	if alpha == 1 {
		return
	}
	for i := range m {
		to := unsafe.Slice((*float32)(unsafe.Add(c, i*ldc)), cols)
		from := unsafe.Slice((*float32)(unsafe.Add(sums, i*step)), cols)
		if acc {
			for j, x := range from {
				to[j] += float32(alpha * x)
			}
			continue
		}
		for j, x := range from {
			to[j] = alpha * x
		}
	}
}

// panels runs w.block, whole panels of rows or one that is not, panels of so many columns, along k: its whole tiles, and
// those of what is left, which another configuration cuts. By parts all tiles are whole.
func (w *Workspace) panels(rows, panels, cols, k int, acc bool) {
	whole, rest := k/tileSize, k%tileSize
	if w.kernel.parts != nil {
		whole, rest = k/partSteps, 0
	}
	part := w.block
	if whole > 0 {
		w.configured(part, rows, panels, cols, tileSize, whole, acc)
	}
	if rest > 0 {
		part.a, part.b = unsafe.Add(part.a, 64*whole), unsafe.Add(part.b, whole*tileSize*part.bs)
		w.configured(part, rows, panels, cols, rest, 1, acc || whole > 0)
	}
}

// configured runs one configuration, tiles of so many pairs, so many along k. It is a call of its own, with a frame, as column is.
//
//go:noinline
func (w *Workspace) configured(b block, rows, panels, cols, pairs, k int, acc bool) {
	b.rows, b.panels, b.k = max(1, rows/panelSize), panels, k
	if acc {
		b.acc = 1
	}
	b.configure(min(rows, panelSize), cols, pairs)
	w.block = b
	tiles := func(n int) int { return min(1, (n-1)/tileSize) }
	w.kernel.blocks[tiles(rows)][tiles(cols)](&w.block)
	w.block = block{}
}

// packPairsA packs the columns [i, i+m) of pairs of rows [k0, k0+k) of a transposed A as rows of pairs, step bytes apart.
func (w *Workspace) packPairsA(dst unsafe.Pointer, step int, a *Matrix, k0, k, i, m int) {
	row := a.ld // bytes of one row, for it is the elements of two
	from := a.at(k0*a.ld + i)
	wholeM, wholeK := 0, 0
	if w.kernel.transposePairs != nil {
		wholeM, wholeK = m&^(tileSize-1), k&^(tileSize-1)
		for r := 0; r < wholeM && wholeK > 0; r += tileSize {
			w.kernel.transposePairs(unsafe.Add(dst, r*step), step, unsafe.Add(from, 2*r), row, wholeK/tileSize)
		}
	}
	for r := range m {
		first := 0
		if r < wholeM {
			first = wholeK
		}
		for l := first; l < k; l++ {
			low := unsafe.Add(from, 2*l*row+2*r)
			*(*uint32)(unsafe.Add(dst, r*step+4*l)) = uint32(*(*uint16)(low)) | uint32(*(*uint16)(unsafe.Add(low, row)))<<16
		}
	}
}
