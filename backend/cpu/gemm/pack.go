package gemm

import "unsafe"

// A panel holds a fixed number of columns of a matrix, k after k, in float32 (or in pairs of bfloat16, or fours: kernel.place).
// Lanes past the last column hold whatever was near: no micro-kernel stores them.

// A packedStrip is B's part of one block, as the micro-kernels read it.
type packedStrip struct {
	data  unsafe.Pointer // of the full panels
	step  int            // bytes from one full panel to the next
	bs    int            // bytes from one k to the next
	full  int            // number of full panels
	rest  int            // columns of the last, partial panel
	tail  unsafe.Pointer
	tails []func(*tile) // micro-kernels for the partial panel
	ahead []func(*tile) // and those of them that fetch
	tbs   int           // its bytes from one k to the next
}

// layout describes n columns packed at dst, in panels so many bytes apart.
func (kn *kernel) layout(dst unsafe.Pointer, step, n int) packedStrip {
	s := packedStrip{data: dst, step: step, bs: 4 * kn.cols, full: n / kn.cols, rest: n % kn.cols}
	if s.rest > 0 {
		s.tail, s.tails, s.ahead, s.tbs = unsafe.Add(dst, s.full*s.step), kn.full, kn.aheadFull, s.bs
		if s.rest <= kn.cols/2 {
			s.tails, s.ahead, s.tbs = kn.narrow, kn.aheadNarrow, s.bs/2
		}
	}
	return s
}

// from is the strip without its first steps of k.
func (s packedStrip) from(k int) packedStrip {
	s.data = unsafe.Add(s.data, k*s.bs)
	if s.rest > 0 {
		s.tail = unsafe.Add(s.tail, k*s.tbs)
	}
	return s
}

// packB packs rows [k0, k0+k) and columns [j0, j0+n) of op(B).
func (w *Workspace) packB(s packedStrip, b *Matrix, trans bool, k0, k, j0, n int) {
	kn := w.kernel
	if b.format.inBlocks() {
		w.packBlocks(s, b, trans, k0, k, j0, n)
		return
	}
	if trans {
		for p := range s.full {
			w.packCols(kn.colsB[b.format], unsafe.Add(s.data, p*s.step), kn.cols, b, k0, k, j0+p*kn.cols, kn.cols)
		}
		if s.rest > 0 {
			w.packCols(kn.colsB[b.format], s.tail, s.tbs/4, b, k0, k, j0+s.full*kn.cols, s.rest)
		}
		return
	}
	if s.full > 0 {
		b.packRows(kn, kn.rowsFull[b.format], s.data, kn.cols, s.step, k0, k, j0, s.full*kn.cols)
	}
	if s.rest > 0 {
		copyRows := kn.rowsFull
		if s.tbs < s.bs {
			copyRows = kn.rowsNarrow
		}
		b.packRows(kn, copyRows[b.format], s.tail, s.tbs/4, 0, k0, k, j0+s.full*kn.cols, s.rest)
	}
}

// packRows packs rows [k0, k0+k) and n columns from j0 into panels of the given
// width, size bytes apart.
func (b *Matrix) packRows(kn *kernel, copyRows rowsPacker, dst unsafe.Pointer, width, size, k0, k, j0, n int) {
	at := k0*b.ld + j0
	ld := b.ld * b.format.size()
	full := n / width
	if full > 0 {
		copyRows(dst, b.at(at), ld, k, full, size)
	}
	rest := n - full*width
	if rest == 0 {
		return
	}
	// The last panel is read in its whole width where the slice goes on.
	dst, at = unsafe.Add(dst, full*size), at+full*width
	safe := 0
	if last := b.len - width - at; last >= 0 {
		if safe = min(k, last/b.ld+1); kn.fours {
			safe &^= 1
		}
		copyRows(dst, b.at(at), ld, safe, 1, size)
	}
	for i := safe; i < k; i++ {
		if b.format == formatPairs {
			for j := range rest {
				*(*uint32)(unsafe.Add(dst, kn.place(i, j, width))) = b.pair(at + i*b.ld + j)
			}
			continue
		}
		b.format.widen(unsafe.Slice((*float32)(unsafe.Add(dst, 4*i*width)), rest), b.at(at+i*b.ld))
	}
}

// packCols packs columns [j0, j0+n) of the transposed matrix, rows of b, into one
// panel of the given width; kernel.lines and cols do what they can of it.
//
//go:noinline
func (w *Workspace) packCols(cols colsPacker, dst unsafe.Pointer, width int, b *Matrix, k0, k, j0, n int) {
	done := 0
	if group := min(width, 16); b.format == formatF32 && k >= 16 && n%group == 0 && w.kernel.lines[group] != nil {
		done = k &^ 15
		for g := 0; g < n; g += group {
			w.kernel.lines[group](unsafe.Add(dst, 4*g), 4*width, b.at((j0+g)*b.ld+k0), 4*b.ld, done)
		}
	}
	if from := done; cols != nil && k-from >= 4 {
		done = k &^ 3
		for g := 0; g < n; g += 8 {
			// In a panel of 14 the second group overlaps the first; one of 6 has
			// a packer of its own.
			first := max(0, min(g, width-8))
			for r := range w.rows {
				w.rows[r] = b.at((j0+min(first+r, n-1))*b.ld + k0 + from)
			}
			cols(unsafe.Add(dst, w.kernel.place(from, first, width)), 4*width, &w.rows, done-from)
		}
	}
	if done == k {
		return
	}
	for j := range n {
		row := b.at((j0+j)*b.ld + k0)
		for i := done; i < k; i++ {
			*(*float32)(unsafe.Add(dst, w.kernel.place(i, j, width))) = b.format.at(row, i)
		}
	}
}

// grow returns a slice of n elements, of the old memory where it is enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
