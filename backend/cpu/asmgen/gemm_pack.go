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

// gemmPack writes the routines that copy a matrix into panels. Most use AVX2
// and F16C only: AVX-512 machines run them too.
func gemmPack() *File {
	f := NewFile("../gemm", "pack")
	for _, s := range stores {
		for _, width := range []int{8, 16, 32} {
			f.packRows(s, width, width == 32 && s.name == "F32")
		}
		f.packCols(s, 8)
	}
	for _, s := range stores {
		f.packRows(s, 6, false)
		f.packRows(s, 14, false)
	}
	f.packCols(stores[0], 6)
	f.transposeColumns(14)
	f.transposeColumns(16)
	for _, width := range []int{14, 16, 32} {
		f.packPairs(width)
	}
	f.roundRow()
	return f
}

// roundRow writes the routine of AVX512_BF16 that rounds float32 to bfloat16.
func (f *File) roundRow() {
	f.Func("roundRowBF16", "roundRowBF16 rounds n elements of src to bfloat16, denormal ones to zero.",
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"n", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("n"), "CX")
	loop, tail, done := f.NewLabel("loop"), f.NewLabel("tail"), f.NewLabel("done")
	f.Label(loop)
	f.I("SUBQ", Imm(16), "CX")
	f.I("JLT", tail)
	f.I("VMOVUPS", Mem(0, "SI"), Z(0))
	f.round16(0, 1)
	f.I("VMOVDQU", Y(1), Mem(0, "DI"))
	f.I("ADDQ", Imm(64), "SI")
	f.I("ADDQ", Imm(32), "DI")
	f.I("JMP", loop)
	f.Label(tail)
	f.I("ADDQ", Imm(16), "CX")
	f.I("JEQ", done)
	f.I("MOVQ", Imm(1), "AX")
	f.I("SHLQ", "CX", "AX")
	f.I("DECQ", "AX")
	f.I("KMOVW", "AX", K(1))
	f.I("VMOVUPS.Z", Mem(0, "SI"), K(1), Z(0))
	f.round16(0, 1)
	f.I("VMOVDQU16", Y(1), K(1), Mem(0, "DI"))
	f.Label(done)
	f.Return()
}

// packPairs joins rows of bfloat16, two at a time, into pairs of neighbors in a column.
func (f *File) packPairs(width int) {
	name := fmt.Sprintf("packPairs_%d", width)
	f.Func(name, fmt.Sprintf(`%s copies k pairs of rows, ld/2 bytes apart, into panels of %d pairs, size bytes apart:
	for i := range k { for p := range panels { for j := range %d {
		dst[p*size+(i*%d+j)*4:] = src[i*ld+(p*%d+j)*2:][:2], src[i*ld+ld/2+(p*%d+j)*2:][:2]
	} } }`, name, width, width, width, width, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"panels", "int"}, Arg{"size", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", "BX", "DX")
	f.I("SHRQ", Imm(1), "DX")
	f.I("MOVQ", f.Arg("k"), "CX")
	f.I("MOVQ", f.Arg("size"), "R9")
	loop, panels, done := f.NewLabel("rows"), f.NewLabel("panels"), f.NewLabel("done")
	f.Label(loop)
	f.I("DECQ", "CX")
	f.I("JLT", done)
	f.I("MOVQ", f.Arg("panels"), "R8")
	f.I("MOVQ", "DI", "R10")
	f.I("MOVQ", "SI", "R11")
	f.Label(panels)
	f.I("LEAQ", Idx(0, "R11", "BX", 8), "R14") // as in packRowsLoop
	f.I("PREFETCHT0", Mem(0, "R14"))
	f.I("PREFETCHT0", Idx(0, "R14", "DX", 1))
	reg, starts := Z, []int{0, 16}
	switch width {
	case 14: // two vectors that overlap in two elements
		reg, starts = Y, []int{0, 6}
	case 16:
		starts = starts[:1]
	}
	for v, at := range starts {
		f.I("VPMOVZXWD", Mem(2*at, "R11"), reg(2*v))
		f.I("VPMOVZXWD", Idx(2*at, "R11", "DX", 1), reg(2*v+1))
	}
	for v := range starts {
		f.I("VPSLLD", Imm(16), reg(2*v+1), reg(2*v+1))
		f.I("VPORD", reg(2*v+1), reg(2*v), reg(2*v))
	}
	for v, at := range starts {
		f.I("VMOVUPS", reg(2*v), Mem(4*at, "R10"))
	}
	f.I("ADDQ", Imm(2*width), "R11")
	f.I("ADDQ", "R9", "R10")
	f.I("DECQ", "R8")
	f.I("JNE", panels)
	f.I("ADDQ", "BX", "SI")
	f.I("ADDQ", Imm(4*width), "DI")
	f.I("JMP", loop)
	f.Label(done)
	f.Return()
}

// packRows copies rows of the source, width elements of each to one panel.
// k is the outer loop: the panels grow side by side, and a source row is read
// in one piece however far the next one is. Where a panel's row fills no line of the
// cache, eight rows at a time fill whole ones. In AVX-512 (wide) it is whole lines that are copied.
func (f *File) packRows(s store, width int, wide bool) {
	name := fmt.Sprintf("packRows%s_%d", s.name, width)
	if wide {
		name = fmt.Sprintf("packRowsAVX512_%d", width)
	}
	f.Func(name, fmt.Sprintf(`%s copies k rows, ld bytes apart, into panels of %d columns, size bytes apart:
	for i := range k { for p := range panels { copy(dst[p*size+i*%d*4:], widen(src[i*ld:][p*%d:][:%d])) } }`, name,
		width, width, width, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"panels", "int"}, Arg{"size", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", f.Arg("k"), "CX")
	f.I("MOVQ", f.Arg("size"), "R9")
	done := f.NewLabel("done")
	if wide {
		f.I("MOVQ", "BX", "R15")
		f.I("SHLQ", Imm(5), "R15")
	}
	if width%16 != 0 && width != 8 {
		f.I("LEAQ", Idx(0, "BX", "BX", 2), "DX")
		f.I("LEAQ", Idx(0, "BX", "BX", 4), "R12")
		f.I("LEAQ", Idx(0, "DX", "BX", 4), "R13")
		next := f.NewLabel("one")
		f.packRowsLoop(s, width, 8, wide, next)
		f.Label(next)
	}
	f.packRowsLoop(s, width, 1, wide, done)
	f.Label(done)
	f.Return()
}

// packRowsLoop copies so many rows at a time while there are as many, and then goes on at
// the label done.
func (f *File) packRowsLoop(s store, width, rows int, wide bool, done string) {
	row := func(base string, r, off int) string { // multiples of ld in registers: 1 BX, 3 DX, 5 R12, 7 R13
		switch {
		case r == 0:
			return Mem(off, base)
		case r == 3 || r == 6:
			return Idx(off, base, "DX", r/3)
		case r == 5:
			return Idx(off, base, "R12", 1)
		case r == 7:
			return Idx(off, base, "R13", 1)
		}
		return Idx(off, base, "BX", r)
	}
	loop, panels := f.NewLabel("rows"), f.NewLabel("panels")
	f.Label(loop)
	f.I("CMPQ", "CX", Imm(rows))
	f.I("JLT", done)
	f.I("MOVQ", f.Arg("panels"), "R8")
	f.I("MOVQ", "DI", "R10")
	f.I("MOVQ", "SI", "R11")
	f.Label(panels)
	// Rows far apart are short pieces that no hardware prefetcher follows: ask
	// for the pieces 8 rows on. With AVX-512, whose level-2 caches are large, for those 32 rows on, in that cache: more
	// lines may be on their way to it.
	behind, fetch, line := Idx(0, "R11", "BX", 8), "PREFETCHT0", 4*width
	if wide {
		behind, fetch, line = Idx(0, "R11", "R15", 1), "PREFETCHT1", 64
	}
	f.I("LEAQ", behind, "R14")
	for r := range rows {
		for off := 0; off < 4*width; off += line {
			f.I(fetch, row("R14", r, off))
		}
	}
	for r := range rows {
		from, to := func(off int) string { return row("R11", r, off) },
			func(off int) string { return Mem(4*width*r+off, "R10") }
		switch {
		case wide:
			for v := range width / 16 {
				f.I("VMOVUPS", from(64*v), Z(v))
			}
			for v := range width / 16 {
				f.I("VMOVUPS", Z(v), to(64*v))
			}
		case width == 6 || width == 14: // two vectors that overlap in two elements
			reg, second := X, 2
			if width == 14 {
				reg, second = Y, 6
			}
			f.load(s, from(0), reg(0))
			f.load(s, from(second*s.bytes), reg(1))
			f.I("VMOVUPS", reg(0), to(0))
			f.I("VMOVUPS", reg(1), to(4*second))
		default:
			reg, lanes := Y, 8
			if width == 32 { // of AVX-512's panels alone
				reg, lanes = Z, 16
			}
			for v := range width / lanes {
				f.load(s, from(lanes*s.bytes*v), reg(v))
			}
			for v := range width / lanes {
				f.I("VMOVUPS", reg(v), to(4*lanes*v))
			}
		}
	}
	f.I("ADDQ", Imm(width*s.bytes), "R11")
	f.I("ADDQ", "R9", "R10")
	f.I("DECQ", "R8")
	f.I("JNE", panels)
	f.I("LEAQ", Idx(0, "SI", "BX", rows), "SI")
	f.I("ADDQ", Imm(4*width*rows), "DI")
	f.I("SUBQ", Imm(rows), "CX")
	f.I("JMP", loop)
}

// packCols transposes 8 rows into 8 columns of a panel, 4 elements of k at once, of bfloat16 8, two in a word:
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
	if s.name == "BF16" {
		f.packPairCols(row)
	}
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
	f.transpose4()
	for i := range 4 {
		to := func(off int) string {
			return []string{Mem(off, "DI"), Idx(off, "DI", "BX", 1), Idx(off, "DI", "BX", 2),
				Idx(off, "DI", "DX", 1)}[i]
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

// transpose4 transposes 4x4 words in each half of Y0 to Y3: pairs of rows, then pairs of pairs.
func (f *File) transpose4() {
	f.I("VUNPCKLPS", Y(1), Y(0), Y(4))
	f.I("VUNPCKHPS", Y(1), Y(0), Y(5))
	f.I("VUNPCKLPS", Y(3), Y(2), Y(6))
	f.I("VUNPCKHPS", Y(3), Y(2), Y(7))
	f.I("VUNPCKLPD", Y(6), Y(4), Y(0))
	f.I("VUNPCKHPD", Y(6), Y(4), Y(1))
	f.I("VUNPCKLPD", Y(7), Y(5), Y(2))
	f.I("VUNPCKHPD", Y(7), Y(5), Y(3))
}

// packPairCols is the loop of packCols for 8 elements of bfloat16 in each row: a transposed word has those of two steps
// of k, the second as it is but for the bits of the first.
func (f *File) packPairCols(row []string) {
	loop, rest, done := f.NewLabel("pairs"), f.NewLabel("rest"), f.NewLabel("done")
	f.I("VPCMPEQD", Y(8), Y(8), Y(8))
	f.I("VPSLLD", Imm(16), Y(8), Y(8))
	f.I("SUBQ", Imm(8), "CX")
	f.I("JLT", rest)
	f.Label(loop)
	for j := range 4 {
		f.I("VMOVUPS", Idx(0, row[j], "AX", 2), X(j))
		f.I("VINSERTF128", Imm(1), Idx(0, row[j+4], "AX", 2), Y(j), Y(j))
	}
	f.transpose4()
	for i := range 4 {
		f.I("VPSLLD", Imm(16), Y(i), Y(i+4))
		f.I("VPAND", Y(8), Y(i), Y(i))
	}
	for half := range 2 {
		for i, to := range []string{Mem(0, "DI"), Idx(0, "DI", "BX", 1), Idx(0, "DI", "BX", 2), Idx(0, "DI", "DX", 1)} {
			f.I("VMOVUPS", Y(2*half+i/2+4*(1-i%2)), to)
		}
		f.I("LEAQ", Idx(0, "DI", "BX", 4), "DI")
	}
	f.I("ADDQ", Imm(8), "AX")
	f.I("CMPQ", "AX", "CX")
	f.I("JLE", loop)
	f.Label(rest)
	f.I("ADDQ", Imm(8), "CX")
	f.I("CMPQ", "AX", "CX")
	f.I("JLT", done)
	f.Return()
	f.Label(done)
}
