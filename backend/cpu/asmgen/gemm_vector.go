package main

import "fmt"

// gemmVector writes the products of a matrix and one vector. Memory decides
// their speed, so AVX2 serves every machine.
func gemmVector() *File {
	f := NewFile("../gemm", "vector")
	for _, s := range stores {
		f.dots(s)
		f.axpys(s, 4)
		f.axpys(s, 1)
	}
	return f
}

// dots writes the product of four rows and a vector, row after row: memory that is read in one stream is
// fetched by the hardware before it is asked for, that of four rows side by side is not. Four accumulators.
func (f *File) dots(s store) {
	name := "dots" + s.name
	f.Func(name, fmt.Sprintf(`%s multiplies 4 rows, ld bytes apart, with a vector; k is a positive multiple of 16:
	for i := range 4 { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, name),
		Arg{"sum", "*[4]float32"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"k", "int"})
	f.I("MOVQ", f.Arg("sum"), "DI")
	f.I("MOVQ", f.Arg("b"), "R8")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", Imm(4), "R9")
	row, loop, rest, end := f.NewLabel("row"), f.NewLabel("loop"), f.NewLabel("rest"), f.NewLabel("end")
	f.Label(row)
	f.I("MOVQ", f.Arg("x"), "SI")
	f.I("MOVQ", "R8", "DX")
	f.I("MOVQ", f.Arg("k"), "CX")
	for r := range 4 {
		f.I("VXORPS", Y(r), Y(r), Y(r))
	}
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
	step(4)
	f.I("JGE", loop)
	f.Label(rest)
	f.I("ADDQ", Imm(32), "CX")
	f.I("JEQ", end)
	step(2)
	f.Label(end)
	for _, add := range [][2]int{{1, 0}, {3, 2}, {2, 0}} {
		f.I("VADDPS", Y(add[0]), Y(add[1]), Y(add[1]))
	}
	f.I("VEXTRACTF128", Imm(1), Y(0), X(1))
	f.I("VADDPS", X(1), X(0), X(0))
	f.I("VHADDPS", X(0), X(0), X(0))
	f.I("VHADDPS", X(0), X(0), X(0))
	f.I("VADDSS", Mem(0, "DI"), X(0), X(0))
	f.I("VMOVSS", X(0), Mem(0, "DI"))
	f.I("ADDQ", Imm(4), "DI")
	f.I("ADDQ", "BX", "R8")
	f.I("DECQ", "R9")
	f.I("JNE", row)
	f.Return()
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
