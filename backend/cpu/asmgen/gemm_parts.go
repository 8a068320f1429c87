package main

import "fmt"

// gemmParts writes the products of float32 by parts of bfloat16 on AMX's tiles, and what splits operands for them.
func gemmParts() *File {
	f := NewFile("../gemm", "parts")
	f.blocksAMX("partsAMX", "computes a block of C by parts", 128, f.partsAMX)
	f.splitRow()
	f.splitPairs(16)
	f.splitPairs(32)
	f.transposeWords()
	return f
}

// partsAMX writes the three products of a tile along k, always in this order: hi lo, hi hi, lo hi. A row of A has 64 bytes
// of hi and 64 of lo; a row of B all columns' hi, then their lo.
func (f *File) partsAMX(rows, cols int, a [2]string) {
	const lo = 64 // bytes behind hi, in A
	product := func(i int) {
		for j := range cols {
			f.tileProduct(tileC(i, j), tileA(i), tileB(j))
		}
	}
	for i := range rows {
		f.tileMemory("TILELOADD", tileA(i), 0, a[i], "R8")
		for j := range cols {
			if i == 0 {
				f.tileMemory("TILELOADD", tileB(j), 64*(cols+j), "BX", "CX")
			}
			f.tileProduct(tileC(i, j), tileA(i), tileB(j))
		}
	}
	for j := range cols {
		f.tileMemory("TILELOADD", tileB(j), 64*j, "BX", "CX")
		for i := range rows {
			f.tileProduct(tileC(i, j), tileA(i), tileB(j))
		}
	}
	for i := range rows {
		f.tileMemory("TILELOADD", tileA(i), lo, a[i], "R8")
		product(i)
	}
}

// limits puts the largest number of bfloat16, as float32, in Z31 and its negative in Z30.
func (f *File) limits() {
	f.I("MOVL", "$0x7f7f0000", "AX")
	f.I("VPBROADCASTD", "AX", Z(31))
	f.I("MOVL", "$0xff7f0000", "AX")
	f.I("VPBROADCASTD", "AX", Z(30))
}

// high rounds Zx, brought within the limits, to bfloat16 in Yx+hi, and widens that to Zx+wide. A NaN stays one.
func (f *File) high(x, hi, wide int) {
	f.I("VMINPS", Z(x), Z(31), Z(x+hi))
	f.I("VMAXPS", Z(x+hi), Z(30), Z(x+hi))
	f.round16(x+hi, x+hi)
	f.I("VPMOVZXWD", Y(x+hi), Z(x+wide))
	f.I("VPSLLD", Imm(16), Z(x+wide), Z(x+wide))
}

// splitRow writes the routine that splits a piece of a row.
func (f *File) splitRow() {
	f.Func("splitRow", `splitRow splits n times 32 numbers into two of bfloat16, hi and lo, 64 bytes of each, step bytes apart:
	for i := range n { for j := range 32 {
		x := src[32*i+j]; hi[i*step+2*j:] = bf16(within(x)); lo[i*step+2*j:] = bf16(x - bf16(within(x)))
	} }`, Arg{"hi", "unsafe.Pointer"}, Arg{"lo", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"src", "unsafe.Pointer"}, Arg{"n", "int"})
	f.I("MOVQ", f.Arg("hi"), "DI")
	f.I("MOVQ", f.Arg("lo"), "DX")
	f.I("MOVQ", f.Arg("step"), "BX")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("n"), "CX")
	f.limits()
	loop := f.NewLabel("loop")
	f.Label(loop)
	for x := range 2 {
		f.I("VMOVUPS", Mem(64*x, "SI"), Z(x))
		f.high(x, 2, 4)
		f.I("VMOVDQU", Y(x+2), Mem(32*x, "DI"))
	}
	for x := range 2 {
		f.I("VSUBPS", Z(x+4), Z(x), Z(x))
		f.round16(x, x)
		f.I("VMOVDQU", Y(x), Mem(32*x, "DX"))
	}
	f.I("ADDQ", Imm(128), "SI")
	f.I("ADDQ", "BX", "DI")
	f.I("ADDQ", "BX", "DX")
	f.I("DECQ", "CX")
	f.I("JNE", loop)
	f.Return()
}

// splitPairs writes the routine that splits rows and joins two at a time into pairs of neighbors in a column.
func (f *File) splitPairs(width int) {
	name := fmt.Sprintf("splitPairs_%d", width)
	f.Func(name, fmt.Sprintf(`%s splits k pairs of rows, ld bytes from row to row, into panels of %d columns, size bytes apart:
	for i := range k { for p := range panels { for j := range %d {
		x, y := src[2*i*ld:][p*%d+j], src[(2*i+1)*ld:][p*%d+j]
		dst[p*size+i*%d+4*j:] = hi(x), hi(y); dst[p*size+i*%d+%d+4*j:] = lo(x), lo(y)
	} } }`, name, width, width, width, width, 8*width, 8*width, 4*width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"panels", "int"}, Arg{"size", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", f.Arg("k"), "CX")
	f.I("MOVQ", f.Arg("size"), "R9")
	f.limits()
	loop, panels := f.NewLabel("rows"), f.NewLabel("panels")
	f.Label(loop)
	f.I("MOVQ", f.Arg("panels"), "R8")
	f.I("MOVQ", "DI", "R10")
	f.I("MOVQ", "SI", "R11")
	f.Label(panels)
	for v := range width / 16 {
		f.I("LEAQ", Idx(64*v, "R11", "BX", 8), "R14") // rows far apart, as in packRowsLoop
		f.I("PREFETCHT0", Mem(0, "R14"))
		f.I("PREFETCHT0", Idx(0, "R14", "BX", 1))
	}
	for v := range width / 16 {
		x := 8 * v
		f.I("VMOVUPS", Mem(64*v, "R11"), Z(x))
		f.I("VMOVUPS", Idx(64*v, "R11", "BX", 1), Z(x+1))
		for y := x; y < x+2; y++ {
			f.high(y, 2, 4)
			f.I("VSUBPS", Z(y+4), Z(y), Z(y))
			f.round16(y, y)
			f.I("VPMOVZXWD", Y(y), Z(y))
		}
		f.I("VPMOVZXWD", Y(x+2), Z(x+2))
		f.I("VPORD", Z(x+5), Z(x+2), Z(x+2))
		f.I("VPSLLD", Imm(16), Z(x+1), Z(x+1))
		f.I("VPORD", Z(x+1), Z(x), Z(x))
		f.I("VMOVDQU32", Z(x+2), Mem(64*v, "R10"))
		f.I("VMOVDQU32", Z(x), Mem(4*width+64*v, "R10"))
	}
	f.I("ADDQ", Imm(4*width), "R11")
	f.I("ADDQ", "R9", "R10")
	f.I("DECQ", "R8")
	f.I("JNE", panels)
	f.I("LEAQ", Idx(0, "SI", "BX", 2), "SI")
	f.I("ADDQ", Imm(8*width), "DI")
	f.I("DECQ", "CX")
	f.I("JNE", loop)
	f.Return()
}

// transposeWords writes the routine that transposes squares of pairs.
func (f *File) transposeWords() {
	f.Func("transposeWords", `transposeWords transposes n squares of 16 rows of 16 words of 32 bits, ld bytes from row to row, nextSrc bytes from
square to square, into 16 rows step bytes apart, nextDst bytes from square to square:
	for i := range n { for r := range 16 { for c := range 16 {
		dst[i*nextDst+c*step+4*r:] = src[i*nextSrc+r*ld+4*c:][:4]
	} } }`, Arg{"dst", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"nextDst", "int"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"nextSrc", "int"}, Arg{"n", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("step"), "BX")
	f.I("MOVQ", f.Arg("nextDst"), "R9")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("ld"), "DX")
	f.I("MOVQ", f.Arg("nextSrc"), "R10")
	f.I("MOVQ", f.Arg("n"), "CX")
	loop := f.NewLabel("loop")
	f.Label(loop)
	f.I("MOVQ", "SI", "R11")
	for r := range 16 {
		f.I("VMOVDQU32", Mem(0, "R11"), Z(r))
		if r < 15 {
			f.I("ADDQ", "DX", "R11")
		}
	}
	f.I("MOVQ", "DI", "R8")
	f.transposed("R8", "BX")
	f.I("ADDQ", "R9", "DI")
	f.I("ADDQ", "R10", "SI")
	f.I("DECQ", "CX")
	f.I("JNE", loop)
	f.Return()
}
