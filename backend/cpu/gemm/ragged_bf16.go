package gemm

import (
	"fmt"
	"unsafe"
)

// Products of bfloat16 like those of float32 in ragged.go, by micro-kernels that read pairs where they lie: elements of A and steps
// of k are pairs.

// HasRaggedBF16 reports whether these multiply here. AMX's tiles have no ends of their own, and BFMMLA wants A packed.
func HasRaggedBF16() bool {
	return HasBF16() && pairKernels()[0].full != nil && !pairKernels()[0].fours
}

// TimesColumnsBF16 is TimesColumns of A in bfloat16 and B from Pack, k and lda even.
func (w *Workspace) TimesColumnsBF16(ends []int, k int, alpha float32, a []uint16, lda int, b *Packed, first int, c []float32, ldc int) {
	even("TimesColumnsBF16", k, lda)
	w.ofPairs().TimesColumns(ends, k/2, alpha, inPairs(a), lda/2, b, first, c, ldc)
}

// TimesStepsBF16 is TimesSteps of A in bfloat16 and B from Pack, lda and first even: A has zeros up to the next even number, too.
func (w *Workspace) TimesStepsBF16(ends []int, n int, a []uint16, lda int, b *Packed, first int, c []float32, ldc int) {
	even("TimesStepsBF16", first, lda)
	p := w.ofPairs()
	p.pairEnds = p.pairEnds[:0]
	for _, end := range ends {
		p.pairEnds = append(p.pairEnds, (end+1)/2)
	}
	p.TimesSteps(p.pairEnds, n, inPairs(a), lda/2, b, first/2, c, ldc)
}

// TimesRowsBF16 is TimesRows of A in pairs of rows, two numbers of bfloat16 in the place of one float32: pair j of rows i and i+1,
// i even, is a[i*lda+j], and beside a last row without another are zeros. A has zeros up to the largest end; B, [m, cols], is from Pack.
func (w *Workspace) TimesRowsBF16(ends []int, cols int, a []float32, lda int, b *Packed, c []float32, ldc int) {
	m, n := len(ends), most(ends)
	checkRagged((m+1)/2, n, a, 2*lda, n, cols, c, ldc)
	if (m+1)/2 > b.k || cols > b.n {
		panic(fmt.Sprintf("gemm: %d rows and %d columns of a packed B of %d and %d", m, cols, 2*b.k, b.n))
	}
	if n == 0 || cols == 0 {
		return
	}
	p := w.ofPairs()
	t, kn := p.raggedTile(1, lda, ldc), p.kernel
	s := b.strip(kn, cols)
	t.rs, t.ks, t.bs, t.acc = 4, 8*lda, s.bs, true
	first := 0 // pair of rows
	for i := 0; i < n; i += kn.rows {
		for 2*first < m && max(ends[2*first], ends[min(2*first+1, m-1)]) <= i {
			first++
		}
		t.a, t.k = unsafe.Pointer(&a[2*first*lda+i]), (m+1)/2-first
		p.raggedPanels(&s, min(kn.rows, n-i), first, c[i*ldc:], cols)
	}
	p.forget()
}

// raggedPanels computes one row of tiles.
//
//go:noinline
func (w *Workspace) raggedPanels(s *packedStrip, rows, first int, c []float32, cols int) {
	t, kn := &w.tile, w.kernel
	for j := 0; j < cols; j += kn.cols {
		t.b, t.c = unsafe.Add(s.data, j/kn.cols*s.step+first*s.bs), unsafe.Pointer(&c[j])
		kn.tilesOf(t, min(kn.cols, cols-j))[rows](t)
	}
}

// inPairs is the memory of a, as elements of pairs.
func inPairs(a []uint16) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(a))), len(a)/2)
}

func even(name string, numbers ...int) {
	for _, n := range numbers {
		if n%2 != 0 {
			panic(fmt.Sprintf("gemm.%s: %d is odd", name, n))
		}
	}
}
