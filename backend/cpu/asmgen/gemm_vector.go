package main

import "fmt"

// gemmVector writes the products of a matrix and one vector. Memory decides
// their speed, so AVX2 serves every machine.
func gemmVector() *File {
	f := NewFile("../gemm", "vector")
	for _, s := range stores {
		fetched := ahead
		if s.bytes == 4 {
			fetched = 0
		}
		f.dots(s, "", fetched)
		f.dots(s, "Far", farAhead)
		f.axpys(s, 4)
		f.axpys(s, 1)
	}
	f.dotBlocks("Q8", 34, func(quarter func(i int, from string)) {
		for i := range 4 {
			quarter(i, Mem(2+8*i, "DX"))
		}
	})
	f.dotBlocks("Q4", 18, func(quarter func(i int, from string)) {
		f.nibbles()
		for i, half := range []string{"X4", "X5"} {
			quarter(2*i, half)
			f.I("VPSRLDQ", Imm(8), half, half)
			quarter(2*i+1, half)
		}
	})
	f.dotBlocks512("Q8", 34, func(half func(i int, from string)) {
		half(0, Mem(2, "DX"))
		half(1, Mem(18, "DX"))
	})
	f.dotBlocks512("Q4", 18, func(half func(i int, from string)) {
		f.nibbles()
		half(0, "X4")
		half(1, "X5")
	})
	return f
}

// ahead is the bytes from what dots read to what they fetch. Widening takes so many instructions a line of the cache that
// those of too few lines are in flight at once; of float32 there are enough, and fetching is in the way.
const ahead = 1024

// farAhead is the same for processors with AVX-512: of those measured, a core of Emerald Rapids has to ask a page ahead for
// what memory gives it, for float32 too.
const farAhead = 4096

// nibbles puts the two halves of a block of Q4 into X4 and X5, as signed bytes.
func (f *File) nibbles() {
	f.I("VMOVDQU", Mem(2, "DX"), "X4")
	f.I("VPSRLW", Imm(4), "X4", "X5")
	for _, half := range []string{"X4", "X5"} {
		f.I("VPAND", "X9", half, half)
		f.I("VPSUBB", "X10", half, half)
	}
}

// nibbleConstants are what nibbles needs: the lower halves of bytes, and eights.
func (f *File) nibbleConstants() {
	for i, bytes := range []uint32{0x0f0f0f0f, 0x08080808} {
		f.I("MOVL", fmt.Sprintf("$0x%08x", bytes), "AX")
		f.I("VMOVD", "AX", X(9+i))
		f.I("VPBROADCASTD", X(9+i), X(9+i))
	}
}

// dotBlocks is dots for a matrix in blocks of 32 numbers, size bytes each. quarter adds eight of them, from signed
// bytes, times the scale, as dots adds them: the sum has the bits of that over the widened row.
func (f *File) dotBlocks(store string, size int, block func(quarter func(i int, from string))) {
	f.blockLoop("dots"+store, size, "Y8", func() {
		block(func(i int, from string) {
			f.I("VPMOVSXBD", from, "Y6")
			f.I("VCVTDQ2PS", "Y6", "Y6")
			f.I("VMULPS", "Y8", "Y6", "Y6")
			f.I("VFMADD231PS", Mem(32*i, "SI"), "Y6", Y(i))
		})
	}, func() {})
}

// dotBlocks512 is dotBlocks in AVX-512: each accumulator, Z0 and Z2, is two of dotBlocks' side by side.
func (f *File) dotBlocks512(store string, size int, block func(half func(i int, from string))) {
	f.blockLoop("dots"+store+"AVX512", size, "Z8", func() {
		block(func(i int, from string) {
			f.I("VPMOVSXBD", from, "Z6")
			f.I("VCVTDQ2PS", "Z6", "Z6")
			f.I("VMULPS", "Z8", "Z6", "Z6")
			f.I("VFMADD231PS", Mem(64*i, "SI"), "Z6", Z(2*i))
		})
	}, func() {
		f.I("VEXTRACTF64X4", Imm(1), "Z0", "Y1")
		f.I("VEXTRACTF64X4", Imm(1), "Z2", "Y3")
	})
}

// blockLoop writes a function over rows of blocks, with each block's scale in a register.
func (f *File) blockLoop(name string, size int, scale string, block, end func()) {
	f.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows of blocks, ld bytes apart, with a vector; k is a positive
multiple of 32:
	for i := range rows { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, name),
		Arg{"sum", "*float32"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"k", "int"}, Arg{"rows", "int"})
	f.nibbleConstants()
	row, loop := f.NewLabel("row"), f.NewLabel("loop")
	f.rows(row)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	f.I("MOVWLZX", Mem(0, "DX"), "AX")
	f.I("VMOVD", "AX", "X8")
	f.I("VCVTPH2PS", "X8", "X8")
	f.I("VBROADCASTSS", "X8", scale)
	f.I("PREFETCHT0", Mem(ahead, "DX"))
	block()
	f.I("ADDQ", Imm(128), "SI")
	f.I("ADDQ", Imm(size), "DX")
	f.I("SUBQ", Imm(32), "CX")
	f.I("JGT", loop)
	end()
	f.nextRow(row)
}

// rows begins a loop over rows, each with accumulators of zero in Y0 to Y3, x in SI, the row in DX and k
// in CX.
func (f *File) rows(row string) {
	f.I("MOVQ", f.Arg("sum"), "DI")
	f.I("MOVQ", f.Arg("b"), "R8")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", f.Arg("rows"), "R9")
	f.Label(row)
	f.I("MOVQ", f.Arg("x"), "SI")
	f.I("MOVQ", "R8", "DX")
	f.I("MOVQ", f.Arg("k"), "CX")
	for r := range 4 {
		f.I("VXORPS", Y(r), Y(r), Y(r))
	}
}

// nextRow adds the accumulators to the row's sum and ends the loop.
func (f *File) nextRow(row string) {
	f.addQuarters([]int{0, 1, 2, 3}, 1, Mem(0, "DI"), Mem(0, "DI"))
	f.I("ADDQ", Imm(4), "DI")
	f.I("ADDQ", "BX", "R8")
	f.I("DECQ", "R9")
	f.I("JNE", row)
	f.Return()
}

// dots writes the product of some rows and a vector, row after row: memory that is read in one stream is
// fetched by the hardware before it is asked for, that of four rows side by side is not. Four accumulators.
// What is fetched bytes ahead is asked for, unless that is 0.
func (f *File) dots(s store, suffix string, fetched int) {
	name := "dots" + s.name + suffix
	f.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows, ld bytes apart, with a vector; k is a positive multiple of 8:
	for i := range rows { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, name),
		Arg{"sum", "*float32"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"k", "int"}, Arg{"rows", "int"})
	row, loop, rest, end := f.NewLabel("row"), f.NewLabel("loop"), f.NewLabel("rest"), f.NewLabel("end")
	last := f.NewLabel("last")
	f.rows(row)
	step := func(vectors int) {
		for v := range vectors {
			f.load(s, Mem(8*s.bytes*v, "DX"), Y(4+v))
		}
		for v := range vectors {
			f.I("VFMADD231PS", Mem(32*v, "SI"), Y(4+v), Y(v))
		}
		f.I("ADDQ", Imm(32*vectors), "SI")
		f.I("ADDQ", Imm(8*s.bytes*vectors), "DX")
		f.I("SUBQ", Imm(8*vectors), "CX")
	}
	f.I("SUBQ", Imm(32), "CX")
	f.I("JLT", rest)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	for line := 0; line < 32*s.bytes && fetched > 0; line += 64 {
		f.I("PREFETCHT0", Mem(fetched+line, "DX"))
	}
	step(4)
	f.I("JGE", loop)
	f.Label(rest)
	f.I("ADDQ", Imm(32), "CX")
	f.I("JEQ", end)
	f.I("CMPQ", "CX", Imm(16))
	f.I("JLT", last)
	step(2)
	f.I("JEQ", end)
	f.Label(last)
	step(1)
	f.Label(end)
	f.nextRow(row)
}

// axpys adds multiples of rows to a vector.
func (f *File) axpys(s store, rows int) {
	name := fmt.Sprintf("axpys%s_%d", s.name, rows)
	f.Func(name, fmt.Sprintf(`%s adds multiples of %d rows, ld bytes apart, to a vector; n is a positive multiple of 8:
	for i := range %d { for j := range n { y[j] += x[i] * widen(b[i*ld:][j]) } }`, name, rows, rows),
		Arg{"y", "unsafe.Pointer"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"n", "int"})
	f.I("MOVQ", f.Arg("y"), "DI")
	f.I("MOVQ", f.Arg("x"), "SI")
	f.I("MOVQ", f.Arg("b"), "DX")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", f.Arg("n"), "CX")
	f.I("LEAQ", Idx(0, "BX", "BX", 2), "R8")
	for i := range rows {
		f.I("VBROADCASTSS", Mem(4*i, "SI"), Y(8+i))
	}
	f.I("LEAQ", Idx(0, "DX", "BX", 4), "R9")
	loop := f.NewLabel("loop")
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	if rows == 4 {
		// The next four rows: rows are too short for hardware prefetchers.
		for _, next := range []string{Mem(0, "R9"), Idx(0, "R9", "BX", 1), Idx(0, "R9", "BX", 2),
			Idx(0, "R9", "R8", 1)} {
			f.I("PREFETCHT0", next)
		}
		f.I("ADDQ", Imm(8*s.bytes), "R9")
	}
	f.I("VMOVUPS", Mem(0, "DI"), Y(0))
	for i := range rows {
		m := []string{Mem(0, "DX"), Idx(0, "DX", "BX", 1), Idx(0, "DX", "BX", 2), Idx(0, "DX", "R8", 1)}[i]
		if s.name == "F32" {
			f.I("VFMADD231PS", m, Y(8+i), Y(0))
			continue
		}
		f.load(s, m, Y(4+i))
		f.I("VFMADD231PS", Y(4+i), Y(8+i), Y(0))
	}
	f.I("VMOVUPS", Y(0), Mem(0, "DI"))
	f.I("ADDQ", Imm(32), "DI")
	f.I("ADDQ", Imm(8*s.bytes), "DX")
	f.I("SUBQ", Imm(8), "CX")
	f.I("JGT", loop)
	f.Return()
}

// addQuarters adds the numbers of four registers of eight, of which it uses up the first three, to from, and stores the sum.
func (f *File) addQuarters(q []int, free int, from, sum string) {
	for _, add := range [][2]int{{1, 0}, {3, 2}, {2, 0}} {
		f.I("VADDPS", Y(q[add[0]]), Y(q[add[1]]), Y(q[add[1]]))
	}
	f.I("VEXTRACTF128", Imm(1), Y(q[0]), X(free))
	f.I("VADDPS", X(free), X(q[0]), X(q[0]))
	f.I("VHADDPS", X(q[0]), X(q[0]), X(q[0]))
	f.I("VHADDPS", X(q[0]), X(q[0]), X(q[0]))
	f.I("VADDSS", from, X(q[0]), X(q[0]))
	f.I("VMOVSS", X(q[0]), sum)
}
