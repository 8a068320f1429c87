package main

import "fmt"

// fewDots512 is fewDots of so many vectors in AVX-512, two rows of B at a time, with four vectors and then four others: the
// registers have room for the sums of these, and each number of x is loaded once for both rows. What lies ahead in B is fetched
// during all of it, some lines with each four.
func (f *File) fewDots512(s store, vectors, fetched int) {
	const rows, group = 2, 4
	name := fmt.Sprintf("dots%d%sAVX512", vectors, s.name)
	f.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows, ld bytes apart, with %d vectors; k is a positive multiple of 32:
	for i := range rows { for v := range x { for j := range k { sums[v*fewColumns+i] += x[v][j] * widen(b[i*ld:][j]) } } }
The sums are as 0 before, whatever is there. Of an odd number of rows the last sum is written twice, side by side.`, name, vectors),
		Arg{"sums", "*float32"}, Arg{"x", "*[fewMost]*float32"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"rows", "int"})
	sum := func(row, v, half int) string { return Z(16 + (row*group+v)*2 + half) } // two hold the four accumulators of dots
	wide := func(row, half int) string { return Z(2*row + half) }
	pointers := []string{"R10", "R11", "R12", "R13"}
	at := func(i, offset int) string {
		if i == 0 {
			return Mem(offset, "DX")
		}
		return Idx(offset, "DX", "BX", 1)
	}
	row, both := f.NewLabel("row"), f.NewLabel("both")
	f.I("MOVQ", f.Arg("sums"), "DI")
	f.I("MOVQ", f.Arg("x"), "AX")
	f.I("MOVQ", f.Arg("b"), "R8")
	f.I("MOVQ", f.Arg("ld"), "BX") // from a row of B to the other
	f.I("MOVQ", f.Arg("rows"), "R9")
	f.Label(row)
	f.I("CMPQ", "R9", Imm(1))
	f.I("JNE", both)
	f.I("XORQ", "BX", "BX")
	f.Label(both)
	for from := 0; from < vectors; from += group {
		loop := f.NewLabel("loop")
		f.I("MOVQ", "R8", "DX")
		f.I("XORQ", "SI", "SI")
		f.I("MOVQ", f.Arg("k"), "CX")
		for v, pointer := range pointers {
			f.I("MOVQ", Mem(8*(from+v), "AX"), pointer)
		}
		for i := range 2 * rows * group {
			f.I("VPXORD", Z(16+i), Z(16+i), Z(16+i))
		}
		f.I("PCALIGN", Imm(32))
		f.Label(loop)
		for i := range rows {
			for line := 0; line < 32*s.bytes; line += 64 {
				if vectors == group || i == from/group {
					f.I("PREFETCHT0", at(i, fetched+line))
				}
			}
			for half := range 2 {
				f.load(s, at(i, 16*s.bytes*half), wide(i, half))
			}
		}
		for v, pointer := range pointers {
			for half := range 2 {
				x := Z(4 + 2*v + half)
				f.I("VMOVUPS", Idx(64*half, pointer, "SI", 1), x)
				for i := range rows {
					f.I("VFMADD231PS", x, wide(i, half), sum(i, v, half))
				}
			}
		}
		f.I("ADDQ", Imm(128), "SI")
		f.I("ADDQ", Imm(32*s.bytes), "DX")
		f.I("SUBQ", Imm(32), "CX")
		f.I("JNE", loop)
		for i := range rows {
			f.addHalves(i, sum)
		}
		// The first numbers of a quarter are the sums of a vector and each row.
		f.I("VUNPCKLPS", Z(4), Z(0), Z(0))
		f.I("VXORPS", X(1), X(1), X(1))
		f.I("VADDPS", Z(1), Z(0), Z(0)) // dots gives no -0
		for v := range group {
			quarter := X(0)
			if v > 0 {
				quarter = X(1)
				f.I("VEXTRACTF32X4", Imm(v), Z(0), quarter)
			}
			f.I("VMOVLPS", quarter, Mem(4*fewColumns*(from+v), "DI"))
		}
	}
	f.I("ADDQ", Imm(8), "DI")
	f.I("LEAQ", Idx(0, "R8", "BX", 2), "R8")
	f.I("SUBQ", Imm(2), "R9")
	f.I("JGT", row)
	f.Return()
}

// addHalves adds the accumulators of a row and four vectors in the order of addQuarters, side by side, so that the numbers of each
// quarter of register 4 * row are the sum of a vector. It uses three registers behind.
func (f *File) addHalves(row int, sum func(row, v, half int) string) {
	to := 4 * row
	fold := func(a, b, into string, low, high int) { // the parts of a and b that low and high choose
		f.I("VSHUFF64X2", Imm(high), b, a, Z(to+3))
		f.I("VSHUFF64X2", Imm(low), b, a, into)
		f.I("VADDPS", Z(to+3), into, into)
	}
	for v := range 4 { // low and high halves of both
		fold(sum(row, v, 0), sum(row, v, 1), sum(row, v, 0), 0x44, 0xee)
	}
	for v := 0; v < 4; v += 2 { // of two vectors
		fold(sum(row, v, 0), sum(row, v+1, 0), Z(to+v/2), 0x44, 0xee)
	}
	fold(Z(to), Z(to+1), Z(to), 0x88, 0xdd) // quarters of four
	for _, swap := range []int{0xb1, 0x4e} {
		f.I("VPERMILPS", Imm(swap), Z(to), Z(to+3))
		f.I("VADDPS", Z(to+3), Z(to), Z(to))
	}
}
