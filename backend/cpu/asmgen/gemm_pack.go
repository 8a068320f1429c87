package main

import "fmt"

// A store is one storage type of B, widened to f32 on the way into a panel.
type store struct {
	name  string
	bytes int
}

var stores = []store{{"F32", 4}, {"F16", 2}, {"BF16", 2}}

// load widens vector register r's width of elements from memory.
func (f *File) load(s store, m, r string) {
	switch s.name {
	case "F32":
		f.I("VMOVUPS", m, r)
	case "F16":
		f.I("VCVTPH2PS", m, r)
	case "BF16":
		f.I("VPMOVZXWD", m, r)
		f.I("VPSLLD", Imm(16), r, r)
	}
}

// gemmPack writes the routines that copy a matrix into panels. They use AVX2
// and F16C only: AVX-512 machines run them too.
func gemmPack() *File {
	f := NewFile("../gemm", "pack")
	for _, s := range stores {
		for _, width := range []int{8, 16, 32} {
			f.packRows(s, width)
		}
		f.packCols(s, 8)
	}
	f.packRows(stores[0], 6)
	f.packRows(stores[0], 14)
	f.packCols(stores[0], 6)
	return f
}

// packRows copies rows of the source, width elements of each to one panel.
// k is the outer loop: the panels grow side by side, and a source row is read
// in one piece however far the next one is.
func (f *File) packRows(s store, width int) {
	name := fmt.Sprintf("packRows%s_%d", s.name, width)
	f.Func(name, fmt.Sprintf(`%s copies k rows, ld bytes apart, into panels of %d columns, size bytes apart:
	for i := range k { for p := range panels { copy(dst[p*size+i*%d*4:], widen(src[i*ld:][p*%d:][:%d])) } }`, name, width, width, width, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"}, Arg{"panels", "int"}, Arg{"size", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", f.Arg("k"), "CX")
	f.I("MOVQ", f.Arg("size"), "R9")
	rows, panels, done := f.NewLabel("rows"), f.NewLabel("panels"), f.NewLabel("done")
	f.I("TESTQ", "CX", "CX")
	f.I("JEQ", done)
	f.Label(rows)
	f.I("MOVQ", f.Arg("panels"), "R8")
	f.I("MOVQ", "DI", "R10")
	f.I("MOVQ", "SI", "R11")
	f.Label(panels)
	// Rows far apart are short pieces that no hardware prefetcher follows: ask
	// for the piece 8 rows on.
	f.I("PREFETCHT0", Idx(0, "R11", "BX", 8))
	switch width {
	case 6: // 4 + 2
		f.I("VMOVUPS", Mem(0, "R11"), X(0))
		f.I("VMOVSD", Mem(16, "R11"), X(1))
		f.I("VMOVUPS", X(0), Mem(0, "R10"))
		f.I("VMOVSD", X(1), Mem(16, "R10"))
	case 14: // two vectors that overlap in two elements
		f.I("VMOVUPS", Mem(0, "R11"), Y(0))
		f.I("VMOVUPS", Mem(24, "R11"), Y(1))
		f.I("VMOVUPS", Y(0), Mem(0, "R10"))
		f.I("VMOVUPS", Y(1), Mem(24, "R10"))
	default:
		for v := range width / 8 {
			f.load(s, Mem(8*s.bytes*v, "R11"), Y(v))
		}
		for v := range width / 8 {
			f.I("VMOVUPS", Y(v), Mem(32*v, "R10"))
		}
	}
	f.I("ADDQ", Imm(width*s.bytes), "R11")
	f.I("ADDQ", "R9", "R10")
	f.I("DECQ", "R8")
	f.I("JNE", panels)
	f.I("ADDQ", "BX", "SI")
	f.I("ADDQ", Imm(4*width), "DI")
	f.I("DECQ", "CX")
	f.I("JNE", rows)
	f.Label(done)
	f.Return()
}

// packCols transposes 8 rows into 8 columns of a panel, 4 elements of k at once:
// rows i and i+4 share a register, so that only in-lane shuffles are needed.
// Of 8 columns only the first width are written.
func (f *File) packCols(s store, width int) {
	name := "packCols" + s.name
	if width < 8 {
		name = fmt.Sprintf("packCols%d%s", width, s.name)
	}
	f.Func(name, fmt.Sprintf(`%s transposes the first k elements of 8 rows, k a positive multiple of 4:
	for i := range k { for j := range %d { dst[i*step/4+j] = widen(rows[j][i]) } }`, name, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"rows", "*[8]unsafe.Pointer"}, Arg{"k", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("step"), "BX")
	f.I("MOVQ", f.Arg("rows"), "AX")
	f.I("MOVQ", f.Arg("k"), "CX")
	f.I("LEAQ", Idx(0, "BX", "BX", 2), "DX")
	row := []string{"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"}
	for j, r := range row {
		f.I("MOVQ", Mem(8*j, "AX"), r)
	}
	f.I("XORQ", "AX", "AX")
	loop := f.NewLabel("loop")
	f.Label(loop)
	for j := range 4 {
		low, high := Idx(0, row[j], "AX", s.bytes), Idx(0, row[j+4], "AX", s.bytes)
		switch s.name {
		case "F32":
			f.I("VMOVUPS", low, X(j))
			f.I("VINSERTF128", Imm(1), high, Y(j), Y(j))
		case "F16":
			f.I("VCVTPH2PS", low, X(j))
			f.I("VCVTPH2PS", high, X(j+4))
			f.I("VINSERTF128", Imm(1), X(j+4), Y(j), Y(j))
		case "BF16":
			f.I("VPMOVZXWD", low, X(j))
			f.I("VPMOVZXWD", high, X(j+4))
			f.I("VINSERTF128", Imm(1), X(j+4), Y(j), Y(j))
			f.I("VPSLLD", Imm(16), Y(j), Y(j))
		}
	}
	// 4x4 in each half: pairs of rows, then pairs of pairs.
	f.I("VUNPCKLPS", Y(1), Y(0), Y(4))
	f.I("VUNPCKHPS", Y(1), Y(0), Y(5))
	f.I("VUNPCKLPS", Y(3), Y(2), Y(6))
	f.I("VUNPCKHPS", Y(3), Y(2), Y(7))
	f.I("VUNPCKLPD", Y(6), Y(4), Y(0))
	f.I("VUNPCKHPD", Y(6), Y(4), Y(1))
	f.I("VUNPCKLPD", Y(7), Y(5), Y(2))
	f.I("VUNPCKHPD", Y(7), Y(5), Y(3))
	for i := range 4 {
		to := func(off int) string {
			return []string{Mem(off, "DI"), Idx(off, "DI", "BX", 1), Idx(off, "DI", "BX", 2), Idx(off, "DI", "DX", 1)}[i]
		}
		if width == 8 {
			f.I("VMOVUPS", Y(i), to(0))
			continue
		}
		f.I("VMOVUPS", X(i), to(0))
		f.I("VEXTRACTF128", Imm(1), Y(i), X(i))
		f.I("VMOVSD", X(i), to(16))
	}
	f.I("LEAQ", Idx(0, "DI", "BX", 4), "DI")
	f.I("ADDQ", Imm(4), "AX")
	f.I("CMPQ", "AX", "CX")
	f.I("JLT", loop)
	f.Return()
}
