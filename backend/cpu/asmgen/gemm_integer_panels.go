package main

import "fmt"

// gemmIntegerPanels writes the products of panels and rows rounded to eight bits in AVX2. A panel is eight rows of
// blocks, 32 numbers a step: VPMADDUBSW multiplies four bytes of each row by the same four of a vector, and adds pairs to
// 16 bits. Where a block's bytes have few bits, a whole step's pairs are added there; a row's sum never leaves its lane.
func gemmIntegerPanels() *File {
	p := &integerPanels{unpacker: &unpacker{
		vec: &vec{File: NewFile("../gemm", "integer_panels"), constants: map[string]bool{}}, r: Y, scales: "Y0",
	}}
	p.panelRows = p
	p.bits("nibbles", masks["nibbles"])
	p.roundGroups("roundGroupsAVX2", false)
	p.multiplier("Bytes", p.bytes)
	p.multiplier("Nibbles", p.words(false))
	p.multiplier("Groups", p.words(true))
	p.multiplier("Halves", p.halves)
	singles := map[string]singleKind{
		"Q8_0": {one: p.singleQ8},
		"Q4_0": {one: p.singleQ4, load: p.loadQ4},
		"Q4_K": {one: p.singleQ4K},
		"Q5_K": {one: p.singleQ5K},
		"Q6_K": {one: p.singleQ6K},
	}
	for _, kind := range p.kinds() {
		p.packer(kind)
		p.single(kind, singles[kind.name])
	}
	p.packer(p.wholeQ5K())
	p.define()
	return p.File
}

// A panelTile is how many vectors and panels a step multiplies.
type panelTile struct{ vectors, panels int }

// What package gemm knows of a panel's steps and of a vector's groups.
const (
	panelStep    = 320 // 32 bytes of each four numbers, then eight scales and eight of another kind
	panelScales  = 256
	panelOthers  = 288
	groupZeros   = 32 // of all 32 numbers, of the first and of the last 16
	groupScale   = 44
	groupSum     = 48
	roundedGroup = 64
)

// integerPanels writes tiles of one or two vectors, at DI and BX further on, and one or two panels, at DX and R9 further on.
// Y15 has 16-bit ones.
type integerPanels struct {
	*unpacker
	sums int // the register of C's first
	at   int // the step, counted from what DI and DX show
}

// sum is C's part, step the sums of a step in integers.
func (p *integerPanels) sum(v, i int) string  { return Y(p.sums + 2*v + i) }
func (p *integerPanels) step(v, i int) string { return Y(4 + 2*v + i) }

// row is an operand in the v-th vector, panel one in the i-th panel.
func (p *integerPanels) row(v, offset int) string {
	return further(roundedGroup*p.at+offset, "DI", "BX", v)
}

func (p *integerPanels) panel(i, offset int) string {
	return further(panelStep*p.at+offset, "DX", "R9", i)
}

// further is base + offset, or that and a distance.
func further(offset int, base, distance string, times int) string {
	if times == 0 {
		return Mem(offset, base)
	}
	return Idx(offset, base, distance, times)
}

// each calls f for every sum of a tile.
func (t panelTile) each(f func(v, i int)) {
	for v := range t.vectors {
		for i := range t.panels {
			f(v, i)
		}
	}
}

// words writes a step whose bytes, less their zero, have so few bits that sums of all 32 fit in two 16-bit numbers; with
// least numbers those come off.
func (p *integerPanels) words(least bool) func(t panelTile) {
	return func(t panelTile) {
		p.wordSums(t, groupZeros, 0, 8)
		t.each(func(v, i int) { p.I("VPMADDWD", "Y15", p.step(v, i), p.step(v, i)) })
		p.scaled(t, panelScales)
		if least {
			for v := range t.vectors {
				p.I("VBROADCASTSS", p.row(v, groupSum), "Y10")
				for i := range t.panels {
					p.I("VFNMADD231PS", p.panel(i, panelOthers), "Y10", p.sum(v, i))
				}
			}
		}
	}
}

// wordSums adds the products of fours [from, to) in 16 bits, beginning with the vectors' zeros. Only the last sum must fit.
func (p *integerPanels) wordSums(t panelTile, zeros, from, to int) {
	for v := range t.vectors {
		p.I("VPBROADCASTD", p.row(v, zeros), p.step(v, 0))
		if t.panels > 1 {
			p.I("VMOVDQA", p.step(v, 0), p.step(v, 1))
		}
	}
	for four := from; four < to; four++ {
		for i := range t.panels {
			p.I("VMOVDQU", p.panel(i, 32*four), Y(8+i))
		}
		for v := range t.vectors {
			p.I("VPBROADCASTD", p.row(v, 4*four), "Y10")
			for i := range t.panels {
				p.I("VPMADDUBSW", "Y10", Y(8+i), "Y11")
				p.I("VPADDW", "Y11", p.step(v, i), p.step(v, i))
			}
		}
	}
}

// scaled adds the step's sums times the scales of panels and vectors.
func (p *integerPanels) scaled(t panelTile, scales int) {
	for v := range t.vectors {
		p.I("VBROADCASTSS", p.row(v, groupScale), "Y10")
		for i := range t.panels {
			p.I("VCVTDQ2PS", p.step(v, i), "Y11")
			p.I("VMULPS", p.panel(i, scales), "Y11", "Y11")
			p.I("VFMADD231PS", "Y10", "Y11", p.sum(v, i))
		}
	}
}

// halves writes a step of bytes of six bits, with two scales.
func (p *integerPanels) halves(t panelTile) {
	for half, scales := range []int{panelScales, panelOthers} {
		p.wordSums(t, groupZeros+4+4*half, 4*half, 4*half+4)
		t.each(func(v, i int) { p.I("VPMADDWD", "Y15", p.step(v, i), p.step(v, i)) })
		p.scaled(t, scales)
	}
}

// bytes writes a step of signed bytes: a vector's take their signs, and pairs are added to 32 bits at once.
func (p *integerPanels) bytes(t panelTile) {
	t.each(func(v, i int) { p.I("VPXOR", p.step(v, i), p.step(v, i), p.step(v, i)) })
	for four := range 8 {
		for i := range t.panels {
			p.I("VMOVDQU", p.panel(i, 32*four), Y(8+i))
			p.I("VPABSB", Y(8+i), Y(12+i))
		}
		for v := range t.vectors {
			p.I("VPBROADCASTD", p.row(v, 4*four), "Y10")
			for i := range t.panels {
				p.I("VPSIGNB", Y(8+i), "Y10", "Y11")
				p.I("VPMADDUBSW", "Y11", Y(12+i), "Y11")
				p.I("VPMADDWD", "Y15", "Y11", "Y11")
				p.I("VPADDD", "Y11", p.step(v, i), p.step(v, i))
			}
		}
	}
	p.scaled(t, panelScales)
}

// multiplier writes the product of two panels and rows, two at a time.
func (p *integerPanels) multiplier(name string, step func(t panelTile)) {
	name = "multiply" + name
	p.Func(name, name+` multiplies a positive number of rounded rows, apart bytes apart, by two panels of a positive number
of steps, second bytes apart: c[r][:16] += x[r] * panels, rows of c being ldc bytes apart.`,
		Arg{"c", "unsafe.Pointer"}, Arg{"ldc", "int"}, Arg{"x", "unsafe.Pointer"}, Arg{"apart", "int"},
		Arg{"panel", "unsafe.Pointer"}, Arg{"second", "int"}, Arg{"steps", "int"}, Arg{"rows", "int"})
	for _, a := range [][2]string{{"c", "R14"}, {"ldc", "R13"}, {"x", "SI"}, {"apart", "BX"}, {"second", "R9"}, {"rows", "R10"}} {
		p.I("MOVQ", p.Arg(a[0]), a[1])
	}
	p.I("VMOVDQU", p.bits("ones16", 0x00010001), "Y15")
	rest, end := p.NewLabel("rest"), p.NewLabel("end")
	c := func(v, i int) string { return further(32*i, "R14", "R13", v) }
	body := func(vectors int) {
		t := panelTile{vectors, 2}
		t.each(func(v, i int) { p.I("VMOVUPS", c(v, i), p.sum(v, i)) })
		p.I("MOVQ", "SI", "DI")
		p.I("MOVQ", p.Arg("panel"), "DX")
		p.I("MOVQ", p.Arg("steps"), "CX")
		loop := p.NewLabel("loop")
		p.I("PCALIGN", Imm(32))
		p.Label(loop)
		step(t)
		p.I("ADDQ", Imm(roundedGroup), "DI")
		p.I("ADDQ", Imm(panelStep), "DX")
		p.I("DECQ", "CX")
		p.I("JNZ", loop)
		t.each(func(v, i int) { p.I("VMOVUPS", p.sum(v, i), c(v, i)) })
	}
	p.I("SUBQ", Imm(2), "R10")
	p.I("JLT", rest)
	two := p.NewLabel("two")
	p.Label(two)
	body(2)
	p.I("LEAQ", Idx(0, "SI", "BX", 2), "SI")
	p.I("LEAQ", Idx(0, "R14", "R13", 2), "R14")
	p.I("SUBQ", Imm(2), "R10")
	p.I("JGE", two)
	p.Label(rest)
	p.I("ADDQ", Imm(2), "R10")
	p.I("JZ", end)
	body(1)
	p.Label(end)
	p.Return()
}

// rows sets the distances of eight rows, which begin at SI.
func (p *integerPanels) rows() {
	p.I("MOVQ", p.Arg("ld"), "R8")
	p.distances()
}

// of is an operand in the r-th of eight rows.
func (p *integerPanels) of(r, offset int) string { return rowOf(r, offset, "SI") }

// distances makes R9 to R11 multiples of R8.
func (v *vec) distances() {
	v.I("LEAQ", Idx(0, "R8", "R8", 2), "R9")
	v.I("LEAQ", Idx(0, "R8", "R8", 4), "R10")
	v.I("LEAQ", Idx(0, "R9", "R8", 4), "R11")
}

// rowOf is an operand in the r-th of rows that begin at a base, R8 bytes apart.
func rowOf(r, offset int, base string) string {
	switch r {
	case 0:
		return Mem(offset, base)
	case 1, 2, 4:
		return Idx(offset, base, "R8", r)
	case 3, 6:
		return Idx(offset, base, "R9", r/3)
	case 5:
		return Idx(offset, base, "R10", 1)
	}
	return Idx(offset, base, "R11", 1)
}

func (p *integerPanels) fours(offset int) {
	for i := range 4 {
		p.twoRows(i, offset)
	}
	p.transposeFours(Y)
}

// twoRows loads 16 bytes of the i-th row and of the one four further on. VINSERTI128 would take the one unit that it
// has for each of them.
func (p *integerPanels) twoRows(i, offset int) {
	p.I("VMOVDQU", p.of(i, offset), X(i))
	p.I("VBROADCASTI128", p.of(i+4, offset), "Y7")
	p.I("VPBLENDD", Imm(0xf0), "Y7", Y(i), Y(i))
}

// transposeFours makes of registers 0 to 3, whose lanes are rows of four words each, a word of every row in each. It
// needs registers 4 to 7.
func (v *vec) transposeFours(r func(int) string) {
	for i := range 2 {
		v.I("VPUNPCKLDQ", r(2*i+1), r(2*i), r(4+2*i))
		v.I("VPUNPCKHDQ", r(2*i+1), r(2*i), r(5+2*i))
	}
	for i := range 2 {
		v.I("VPUNPCKLQDQ", r(6+i), r(4+i), r(2*i))
		v.I("VPUNPCKHQDQ", r(6+i), r(4+i), r(2*i+1))
	}
}

func (p *integerPanels) halfScales(offset int, upper bool, to string) {
	if upper {
		offset += 2
	}
	p.I("VMOVD", p.of(0, offset), low(to))
	for r := 1; r < 8; r++ {
		p.I("VPINSRW", Imm(r), p.of(r, offset), low(to), low(to))
	}
	p.I("VCVTPH2PS", low(to), to)
}

func (p *integerPanels) twoHalves() {
	p.I("VPSRLD", Imm(16), "Y0", "Y5")
	p.I("VPAND", p.bits("lowWords", 0xffff), "Y0", "Y4")
	p.I("VPACKUSDW", "Y5", "Y4", "Y4")
	p.I("VPERMQ", Imm(0xd8), "Y4", "Y4")
	p.I("VEXTRACTI128", Imm(1), "Y4", "X5")
	p.I("VCVTPH2PS", "X4", "Y4")
	p.I("VCVTPH2PS", "X5", "Y5")
}

// roundGroups writes the rounding of a vector, with zeros in pairs of 16 bits or in 32.
func (p *vec) roundGroups(name string, whole bool) {
	p.Func(name, fmt.Sprintf("%s is roundGroupsGo(…, %t) for a positive number of groups.", name, whole),
		Arg{"to", "unsafe.Pointer"}, Arg{"x", "unsafe.Pointer"}, Arg{"groups", "int"}, Arg{"zero", "int"})
	p.I("MOVQ", p.Arg("to"), "DI")
	p.I("MOVQ", p.Arg("x"), "SI")
	p.I("MOVQ", p.Arg("groups"), "CX")
	p.I("MOVQ", p.Arg("zero"), "AX")
	p.I("NEGQ", "AX")
	p.I("VMOVD", "AX", "X14")
	p.I("VPBROADCASTW", "X14", "Y14")
	p.I("VMOVDQU", p.bits("ones16", 0x00010001), "Y15")
	p.I("VMOVDQU", p.bits("magnitude", 0x7fffffff), "Y13")
	p.I("VMOVDQU", p.bits("lowBytes", 0xff), "Y12")
	p.I("VMOVDQU", p.table("packedOrder", 0, 4, 1, 5, 2, 6, 3, 7), "Y11")
	p.I("VMOVDQU", p.bits("ones8", 0x01010101), "Y10")
	loop, some := p.NewLabel("loop"), p.NewLabel("some")
	p.Label(loop)
	for i := range 4 {
		p.I("VMOVUPS", Mem(32*i, "SI"), Y(i))
		p.I("VPAND", "Y13", Y(i), Y(4+i))
	}
	// The largest magnitude by its bits, which order positive numbers, infinity and NaN.
	p.I("VPMAXUD", "Y5", "Y4", "Y4")
	p.I("VPMAXUD", "Y7", "Y6", "Y6")
	p.I("VPMAXUD", "Y6", "Y4", "Y4")
	p.I("VEXTRACTI128", Imm(1), "Y4", "X5")
	for _, order := range []int{0x4e, 0xb1} {
		p.I("VPMAXUD", "X5", "X4", "X4")
		p.I("VPSHUFD", Imm(order), "X4", "X5")
	}
	p.I("VPMAXUD", "X5", "X4", "X4")
	p.I("VMOVSS", p.constant("steps", 127), "X5")
	p.I("VDIVSS", "X5", "X4", "X6") // the scale
	p.I("VMOVSS", "X6", Mem(groupScale, "DI"))
	p.I("VDIVSS", "X4", "X5", "X5") // its inverse
	p.I("VMOVD", "X4", "AX")
	p.I("TESTL", "AX", "AX")
	p.I("JNE", some)
	p.I("VXORPS", "X5", "X5", "X5")
	p.Label(some)
	p.I("VBROADCASTSS", "X5", "Y5")
	for i := range 4 {
		p.I("VMULPS", "Y5", Y(i), Y(i))
		p.I("VCVTPS2DQ", Y(i), Y(i))
		p.I("VPAND", "Y12", Y(i), Y(i)) // what is no number becomes 0
	}
	p.I("VPACKUSDW", "Y1", "Y0", "Y0")
	p.I("VPACKUSDW", "Y3", "Y2", "Y2")
	p.I("VPACKUSWB", "Y2", "Y0", "Y0")
	p.I("VPERMD", "Y0", "Y11", "Y0")
	p.I("VMOVDQU", "Y0", Mem(0, "DI"))
	p.I("VPMADDUBSW", "Y0", "Y10", "Y0") // sums of pairs
	p.I("VPMULLW", "Y14", "Y0", "Y1")
	add := "VPADDW"
	if whole {
		p.I("VPMADDWD", "Y15", "Y1", "Y1")
		add = "VPADDD"
	}
	for _, order := range []int{0x4e, 0xb1} {
		p.I("VPSHUFD", Imm(order), "Y1", "Y2")
		p.I(add, "Y2", "Y1", "Y1")
	}
	p.I("VEXTRACTI128", Imm(1), "Y1", "X2")
	p.I(add, "X2", "X1", "X3")
	for i, half := range []string{"X3", "X1", "X2"} {
		p.I("VMOVD", half, Mem(groupZeros+4*i, "DI"))
	}
	p.I("VPMADDWD", "Y15", "Y0", "Y0")
	p.I("VEXTRACTI128", Imm(1), "Y0", "X1")
	p.I("VPADDD", "X1", "X0", "X0")
	p.I("VPHADDD", "X0", "X0", "X0")
	p.I("VPHADDD", "X0", "X0", "X0")
	p.I("VCVTDQ2PS", "X0", "X0")
	p.I("VMULSS", "X6", "X0", "X0")
	p.I("VMOVSS", "X0", Mem(groupSum, "DI"))
	p.I("ADDQ", Imm(roundedGroup), "DI")
	p.I("ADDQ", Imm(128), "SI")
	p.I("DECQ", "CX")
	p.I("JNE", loop)
	p.Return()
}
