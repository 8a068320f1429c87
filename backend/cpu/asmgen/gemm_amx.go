package main

import (
	"fmt"
	"strings"
)

// gemmAMX writes the products of bfloat16 on AMX's tiles, and what packs a transposed A for them.
func gemmAMX() *File {
	f := NewFile("../gemm", "amx")
	f.blocksAMX("blockAMX", "computes a block of C", 64, f.pairsAMX)
	f.transposePairs()
	return f
}

// blocksAMX writes the routines for panels of one and two tiles.
func (f *File) blocksAMX(name, does string, stepA int, products func(rows, cols int, a [2]string)) {
	for rows := 1; rows <= 2; rows++ {
		for cols := 1; cols <= 2; cols++ {
			of := fmt.Sprintf("%s_%dx%d", name, rows, cols)
			f.blockAMX(of, fmt.Sprintf("%s %s in %dx%d tiles a panel.", of, does, rows, cols), rows, cols, stepA, products)
		}
	}
}

// A register of Go's by its number in the processor's encoding.
var number = map[string]int{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SI": 6, "DI": 7, "R8": 8, "R9": 9, "R10": 10, "R11": 11,
	"R12": 12, "R15": 15}

// Tiles of a block: C's are 0 to 3, row after row, A's 4 and 5, B's 6 and 7.
func tileC(i, j int) int { return 2*i + j }
func tileA(i int) int    { return 4 + i }
func tileB(j int) int    { return 6 + j }

// The mandatory prefixes of VEX.128.0F38.W0, as its field pp has them.
const (
	ppNone = iota
	pp66
	ppF3
	ppF2
)

// vex38 writes an instruction that Go's assembler does not know: VEX.128.0F38.W0, tail being ModRM and what follows.
func (f *File) vex38(pp, vvvv, r, x, b, opcode int, text string, tail ...int) {
	not := func(n int) int { return ^n >> 3 & 1 }
	code := append([]int{0xc4, not(r)<<7 | not(x)<<6 | not(b)<<5 | 2, ^vvvv&15<<3 | pp, opcode}, tail...)
	var bytes []string
	for _, c := range code {
		bytes = append(bytes, fmt.Sprintf("BYTE $0x%02x", c))
	}
	fmt.Fprintf(&f.asm, "\t%s // %s\n", strings.Join(bytes, "; "), text)
}

// tileMemory moves a tile from or to memory: rows stride bytes apart, from base+off on; off is not negative.
func (f *File) tileMemory(op string, t, off int, base, stride string) {
	pp := map[string]int{"TILELOADD": ppF2, "TILESTORED": ppF3}[op]
	b, x := number[base], number[stride]
	mod, offset := 1, []int{off}
	if off > 127 {
		mod, offset = 2, []int{off & 255, off >> 8, 0, 0}
	}
	f.vex38(pp, 0, t, x, b, 0x4b, fmt.Sprintf("%s %d(%s)(%s*1), tmm%d", op, off, base, stride, t),
		append([]int{mod<<6 | t<<3 | 4, x&7<<3 | b&7}, offset...)...)
}

// tileProduct is TDPBF16PS: c += a * b.
func (f *File) tileProduct(c, a, b int) {
	f.vex38(ppF3, b, c, 0, a, 0x5c, fmt.Sprintf("TDPBF16PS tmm%d, tmm%d, tmm%d", b, a, c), 3<<6|c<<3|a)
}

// tileZero, loadConfig and releaseTiles are TILEZERO, LDTILECFG (AX) and TILERELEASE.
func (f *File) tileZero(t int) {
	f.vex38(ppF2, 0, t, 0, 0, 0x49, fmt.Sprintf("TILEZERO tmm%d", t), 3<<6|t<<3)
}
func (f *File) loadConfig()   { f.vex38(ppNone, 0, 0, 0, 0, 0x49, "LDTILECFG (AX)", 0) }
func (f *File) releaseTiles() { f.vex38(ppNone, 0, 0, 0, 0, 0x49, "TILERELEASE", 3<<6) }

// pairsAMX writes the products of a tile along k.
func (f *File) pairsAMX(rows, cols int, a [2]string) {
	f.tileMemory("TILELOADD", tileA(0), 0, a[0], "R8")
	for j := range cols {
		f.tileMemory("TILELOADD", tileB(j), 64*j, "BX", "CX")
		f.tileProduct(tileC(0, j), tileA(0), tileB(j))
	}
	if rows == 2 {
		f.tileMemory("TILELOADD", tileA(1), 0, a[1], "R8")
		for j := range cols {
			f.tileProduct(tileC(1, j), tileA(1), tileB(j))
		}
	}
}

// blockAMX writes the product of panels of rows of A and panels of columns of B, each of so many tiles: the products of a
// tile along k, for which A lies at a, rows R8 bytes apart, and B at BX, rows CX bytes apart. Of A the next tile is stepA
// bytes on.
func (f *File) blockAMX(name, doc string, rows, cols, stepA int, products func(rows, cols int, a [2]string)) {
	field := func(name string) string { return Field("block", name, "DI") }
	f.Func(name, doc, Arg{"b", "*block"})
	f.I("MOVQ", f.Arg("b"), "DI")
	for _, r := range [][2]string{{"rs", "R8"}, {"bs", "CX"}, {"ldc", "R11"}, {"rows", "R14"}} {
		f.I("MOVQ", field(r[0]), r[1])
	}
	f.I("LEAQ", field("config"), "AX")
	f.loadConfig()
	f.I("MOVQ", "CX", "AX") // bytes from one tile of B to the next along k
	f.I("SHLQ", Imm(4), "AX")
	down, across, load, begin, loop := f.NewLabel("down"), f.NewLabel("across"), f.NewLabel("load"), f.NewLabel("begin"),
		f.NewLabel("loop")
	tiles := func(each func(i, j int)) {
		for i := range rows {
			for j := range cols {
				each(i, j)
			}
		}
	}
	// lower is 16 rows below, where there is a second tile.
	lower := func(from, stride, to string) {
		if rows == 2 {
			f.I("MOVQ", stride, to)
			f.I("SHLQ", Imm(4), to)
			f.I("ADDQ", from, to)
		}
	}
	c, a := [2]string{"R10", "R12"}, [2]string{"SI", "R9"}
	f.Label(down)
	f.I("MOVQ", field("c"), c[0])
	f.I("ADDQ", field("downC"), c[0])
	lower(c[0], "R11", c[1])
	f.I("MOVQ", field("b"), "R15")
	f.I("MOVQ", field("panels"), "R13")
	f.Label(across)
	f.I("MOVQ", field("a"), a[0])
	f.I("ADDQ", field("downA"), a[0])
	lower(a[0], "R8", a[1])
	f.I("MOVQ", "R15", "BX")
	f.I("MOVQ", field("k"), "DX")
	f.I("CMPQ", field("acc"), Imm(0))
	f.I("JNE", load)
	tiles(func(i, j int) { f.tileZero(tileC(i, j)) })
	f.I("JMP", begin)
	f.Label(load)
	tiles(func(i, j int) { f.tileMemory("TILELOADD", tileC(i, j), 64*j, c[i], "R11") })
	f.Label(begin)
	f.Label(loop)
	products(rows, cols, a)
	for i := range rows {
		f.I("ADDQ", Imm(stepA), a[i])
	}
	f.I("ADDQ", "AX", "BX")
	f.I("DECQ", "DX")
	f.I("JNE", loop)
	tiles(func(i, j int) { f.tileMemory("TILESTORED", tileC(i, j), 64*j, c[i], "R11") })
	for i := range rows {
		f.I("ADDQ", Imm(64*cols), c[i])
	}
	f.I("ADDQ", field("step"), "R15")
	f.I("DECQ", "R13")
	f.I("JNE", across)
	for _, r := range [][2]string{{"R8", "downA"}, {"R11", "downC"}} {
		f.I("MOVQ", r[0], "DX")
		f.I("SHLQ", Imm(5), "DX")
		f.I("ADDQ", "DX", field(r[1]))
	}
	f.I("DECQ", "R14")
	f.I("JNE", down)
	f.releaseTiles()
	f.I("RET")
}

// transposePairs writes the routine that turns two rows of bfloat16, neighbors along k, into neighbors in a row.
func (f *File) transposePairs() {
	f.Func("transposePairs", `transposePairs turns n*16 pairs of rows of 16 bfloat16, ld bytes from row to row, into 16 rows of pairs, step bytes apart:
	for r := range 16 { for l := range 16 * n { dst[r*step+4*l:] = src[2*l*ld+2*r:][:2], src[(2*l+1)*ld+2*r:][:2] } }`,
		Arg{"dst", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"n", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("step"), "BX")
	f.I("MOVQ", f.Arg("src"), "SI")
	f.I("MOVQ", f.Arg("ld"), "DX")
	f.I("MOVQ", f.Arg("n"), "CX")
	loop := f.NewLabel("loop")
	f.Label(loop)
	for l := range 16 {
		f.I("VPMOVZXWD", Mem(0, "SI"), Z(l))
		f.I("VPMOVZXWD", Idx(0, "SI", "DX", 1), Z(16))
		f.I("VPSLLD", Imm(16), Z(16), Z(16))
		f.I("VPORD", Z(16), Z(l), Z(l))
		f.I("LEAQ", Idx(0, "SI", "DX", 2), "SI")
	}
	f.I("MOVQ", "DI", "R8")
	f.transposed("R8", "BX")
	f.I("ADDQ", Imm(64), "DI")
	f.I("DECQ", "CX")
	f.I("JNE", loop)
	f.Return()
}

// transposed writes Z0 to Z15, 16 rows of 16 words of 32 bits, as columns: rows step bytes apart from at on, which moves
// to the last of them.
func (f *File) transposed(at, step string) {
	// Registers exchange a bit of their number for one of the lane's: within four lanes first, then among fours.
	from, to := 0, 16
	exchange := func(bit int, low, high func(a, b, to string)) {
		for i := range 16 {
			if i&bit == 0 {
				a, b := Z(from+i), Z(from+(i|bit))
				low(a, b, Z(to+i))
				high(a, b, Z(to+(i|bit)))
			}
		}
		from, to = to, from
	}
	op := func(name string) func(a, b, to string) {
		return func(a, b, to string) { f.I(name, b, a, to) }
	}
	shuffle := func(imm int) func(a, b, to string) {
		return func(a, b, to string) { f.I("VSHUFI32X4", Imm(imm), b, a, to) }
	}
	exchange(1, op("VPUNPCKLDQ"), op("VPUNPCKHDQ"))
	exchange(2, op("VPUNPCKLQDQ"), op("VPUNPCKHQDQ"))
	exchange(4, shuffle(0x88), shuffle(0xdd))
	exchange(8, shuffle(0x88), shuffle(0xdd))
	for r := range 16 {
		f.I("VMOVDQU32", Z(r&^3|r&1<<1|r>>1&1), Mem(0, at)) // the unpacking of halves swaps the two lowest bits
		if r < 15 {
			f.I("ADDQ", step, at)
		}
	}
}
