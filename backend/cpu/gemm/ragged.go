package gemm

import (
	"fmt"
	"slices"
	"unsafe"
)

// Products of float32 of which every row of A has an end of its own, as queries have that see keys up to their own position:
// a micro-kernel's tile goes as far as the longest of its rows.

// TimesColumns is C [m, ends[i]] = alpha A [m, k] times the first k rows and, for row i, ends[i] columns of B, from PackF32, from the
// first on, a multiple of Whole. Rows of A and C lie lda and ldc apart; those of C have room for a multiple of Whole, and are undefined
// from their ends on.
func (w *Workspace) TimesColumns(ends []int, k int, alpha float32, a []float32, lda int, b *Packed, first int, c []float32, ldc int) {
	m, n := len(ends), most(ends)
	room := roundUp(n, Whole)
	checkRagged(m, k, a, lda, m, room, c, ldc)
	if k > b.k || first < 0 || first+n > b.n || first%Whole != 0 {
		panic(fmt.Sprintf("gemm: %d rows and %d columns from column %d on of a packed B of %d and %d", k, n, first, b.k, b.n))
	}
	if n == 0 {
		return
	}
	t := w.raggedTile(alpha, lda, ldc)
	t.k, t.acc = k, false
	kn := w.kernel
	s := b.strip(kn, room)
	t.bs = s.bs
	w.tileEnds(ends)
	for p := range s.full {
		t.b = unsafe.Add(s.data, (first/kn.cols+p)*s.step)
		w.raggedColumns(p*kn.cols, a, c[p*kn.cols:], m)
	}
	w.forget()
}

// TimesSteps is C [m, n] += A [m, k] times rows of B, from PackF32, of which row i of A goes over ends[i] from the first on: from
// there to the largest end it has zeros.
func (w *Workspace) TimesSteps(ends []int, n int, a []float32, lda int, b *Packed, first int, c []float32, ldc int) {
	m, k := len(ends), most(ends)
	checkRagged(m, k, a, lda, m, n, c, ldc)
	if first < 0 || first+k > b.k || n > b.n {
		panic(fmt.Sprintf("gemm: %d rows from row %d on and %d columns of a packed B of %d and %d", k, first, n, b.k, b.n))
	}
	if k == 0 || n == 0 {
		return
	}
	t := w.raggedTile(1, lda, ldc)
	t.acc = true
	kn := w.kernel
	s := b.strip(kn, n).from(first)
	w.tileEnds(ends)
	t.bs = s.bs
	t.columns(kn.cols, kn.cols)
	for p := range s.full {
		t.b = unsafe.Add(s.data, p*s.step)
		w.raggedSteps(kn.full, a, c[p*kn.cols:], m)
	}
	if s.rest > 0 {
		t.b = s.tail
		w.raggedSteps(kn.tilesOf(t, s.rest), a, c[s.full*kn.cols:], m)
	}
	w.forget()
}

func checkRagged(m, k int, a []float32, lda, rows, n int, c []float32, ldc int) {
	ma, mc := F32(a, lda), F32(c, ldc)
	for _, fault := range []string{ma.fault("A", m, k, false), mc.fault("C", rows, n, false)} {
		if fault != "" {
			panic("gemm: " + fault)
		}
	}
}

func most(ends []int) (n int) {
	for _, end := range ends {
		n = max(n, end)
	}
	return n
}

// raggedTile is a tile whose A is read where it lies.
func (w *Workspace) raggedTile(alpha float32, lda, ldc int) *tile {
	if w.kernel == nil {
		w.kernel = &kernels[0]
	}
	t := &w.tile
	t.alpha, t.ldc, t.spill, t.half = alpha, 4*ldc, &w.spill, false
	t.rs, t.ks = 4*lda, 4
	w.tileRows = w.kernel.rowsInPlace(t.rs)
	return t
}

// tileEnds keeps the ends of tiles.
func (w *Workspace) tileEnds(ends []int) {
	w.ends = w.ends[:0]
	for rows := range slices.Chunk(ends, w.tileRows) {
		w.ends = append(w.ends, most(rows))
	}
}

// raggedColumns computes one column of tiles, those that go beyond a column of B, narrow ones where these are enough. As column,
// it is a call of its own.
//
//go:noinline
func (w *Workspace) raggedColumns(first int, a, c []float32, m int) {
	t, rows, kn := &w.tile, w.tileRows, w.kernel
	for i, end := range w.ends {
		if end > first {
			t.a, t.c = unsafe.Pointer(&a[i*rows*t.rs/4]), unsafe.Pointer(&c[i*rows*t.ldc/4])
			cols := kn.cols
			if end-first <= cols/2 {
				cols /= 2
			}
			kn.tilesOf(t, cols)[min(rows, m-i*rows)](t)
		}
	}
}

// tilesOf is the micro-kernels for so many columns of a full panel, which t is told.
func (kn *kernel) tilesOf(t *tile, cols int) []func(*tile) {
	if cols > kn.cols/2 {
		t.columns(cols, kn.cols)
		return kn.full
	}
	t.columns(cols, kn.cols/2)
	return kn.narrow
}

// raggedSteps computes one column of tiles, each over its own steps.
//
//go:noinline
func (w *Workspace) raggedSteps(tiles []func(*tile), a, c []float32, m int) {
	t, rows := &w.tile, w.tileRows
	for i, end := range w.ends {
		if end > 0 {
			t.a, t.c, t.k = unsafe.Pointer(&a[i*rows*t.rs/4]), unsafe.Pointer(&c[i*rows*t.ldc/4]), end
			tiles[min(rows, m-i*rows)](t)
		}
	}
}

// TimesRows is C [n, cols] += the transpose of A [m, n], n the largest end, times B [m, cols]: row i of A has zeros from ends[i] on.
// Neither is packed: B's rows, ldb apart, are few enough to stay in the level-1 cache, with room for Whole numbers behind the last.
func (w *Workspace) TimesRows(ends []int, cols int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	m, n := len(ends), most(ends)
	mb := F32(b, ldb)
	checkRagged(m, n, a, lda, n, cols, c, ldc)
	if fault := mb.fault("B", m, cols, false); fault != "" {
		panic("gemm: " + fault)
	}
	if m > 0 && len(b) < (m-1)*ldb+roundUp(cols, Whole) {
		panic(fmt.Sprintf("gemm: %d numbers of B, which is read up to %d", len(b), (m-1)*ldb+roundUp(cols, Whole)))
	}
	if n == 0 || cols == 0 {
		return
	}
	t := w.raggedTile(1, lda, ldc)
	t.rs, t.ks, t.bs, t.acc = 4, 4*lda, 4*ldb, true
	rows, first := w.kernel.rows, 0
	for i := 0; i < n; i += rows {
		for first < m && ends[first] <= i {
			first++
		}
		w.raggedRows(min(rows, n-i), m-first, a[first*lda+i:], b[first*ldb:], c[i*ldc:], cols)
	}
	w.forget()
}

// raggedRows computes one row of tiles.
//
//go:noinline
func (w *Workspace) raggedRows(rows, k int, a, b, c []float32, cols int) {
	t, kn := &w.tile, w.kernel
	t.a, t.k = unsafe.Pointer(&a[0]), k
	for j := 0; j < cols; j += kn.cols {
		t.b, t.c = unsafe.Pointer(&b[j]), unsafe.Pointer(&c[j])
		kn.tilesOf(t, min(kn.cols, cols-j))[rows](t)
	}
}
