package main

import "fmt"

// fewColumns is package gemm's: the sums of each vector are so many, of which a call computes the first.
const fewColumns = 32

// fewDots writes the products of some rows of B and of several vectors: each piece of B is loaded, and widened, once for all of
// them. Every sum has the accumulators of dots, and so its bits.
func (f *File) fewDots(s store, vectors, fetched int) {
	const lanes = 8
	name, registers := fmt.Sprintf("dots%d%s", vectors, s.name), 32/lanes
	f.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows, ld bytes apart, with %d vectors; k is a positive multiple of 32:
	for i := range rows { for v := range x { for j := range k { sums[v*fewColumns+i] += x[v][j] * widen(b[i*ld:][j]) } } }
The sums are as 0 before, whatever is there.`, name, vectors),
		Arg{"sums", "*float32"}, Arg{"x", "*[fewMost]*float32"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"rows", "int"})
	sum := func(v, i int) int { return v*registers + i }
	wide := func(i int) string { return Y(vectors*registers + i) }
	pointers := []string{"R10", "R11", "R12", "R13"}[:vectors]
	row, loop := f.NewLabel("row"), f.NewLabel("loop")
	f.I("MOVQ", f.Arg("sums"), "DI")
	f.I("MOVQ", f.Arg("x"), "AX")
	for v, pointer := range pointers {
		f.I("MOVQ", Mem(8*v, "AX"), pointer)
	}
	f.I("MOVQ", f.Arg("b"), "R8")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", f.Arg("rows"), "R9")
	f.I("VXORPS", Y(15), Y(15), Y(15))
	f.Label(row)
	f.I("MOVQ", "R8", "DX")
	f.I("XORQ", "SI", "SI")
	f.I("MOVQ", f.Arg("k"), "CX")
	for v := range vectors {
		for i := range registers {
			f.I("VXORPS", Y(sum(v, i)), Y(sum(v, i)), Y(sum(v, i)))
		}
	}
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	for line := 0; line < 32*s.bytes && fetched > 0; line += 64 {
		f.I("PREFETCHT0", Mem(fetched+line, "DX"))
	}
	for i := range registers {
		f.load(s, Mem(lanes*s.bytes*i, "DX"), wide(i))
	}
	for v, pointer := range pointers {
		for i := range registers {
			f.I("VFMADD231PS", Idx(4*lanes*i, pointer, "SI", 1), wide(i), Y(sum(v, i)))
		}
	}
	f.I("ADDQ", Imm(128), "SI")
	f.I("ADDQ", Imm(32*s.bytes), "DX")
	f.I("SUBQ", Imm(32), "CX")
	f.I("JNE", loop)
	for v := range vectors {
		f.addQuarters([]int{sum(v, 0), sum(v, 1), sum(v, 2), sum(v, 3)}, 14, X(15), Mem(4*fewColumns*v, "DI"))
	}
	f.I("ADDQ", Imm(4), "DI")
	f.I("ADDQ", "BX", "R8")
	f.I("DECQ", "R9")
	f.I("JNE", row)
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
