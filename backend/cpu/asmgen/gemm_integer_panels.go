package main

import "fmt"

// gemmIntegerPanels writes the products of panels and rows rounded to eight bits in AVX2. A panel is eight rows of
// blocks, 32 numbers a step: VPMADDUBSW multiplies four bytes of each row by the same four of a vector, and adds pairs to
// 16 bits. Where a block's bytes have few bits, a whole step's pairs are added there; a row's sum never leaves its lane.
func gemmIntegerPanels() *File {
	p := &integerPanels{vec: &vec{File: NewFile("../gemm", "integer_panels"), constants: map[string]bool{}}}
	p.nibbles = p.bits("nibbles", 0x0f0f0f0f)
	p.roundGroups("roundGroupsAVX2", false)
	p.multiplier("Bytes", p.bytes)
	p.multiplier("Nibbles", p.words(false))
	p.multiplier("Groups", p.words(true))
	p.multiplier("Halves", p.halves)
	for _, kind := range []panelKind{
		{"Q8_0", 32, 34, p.packQ8, nil, p.singleQ8},
		{"Q4_0", 32, 18, p.packQ4, p.loadQ4, p.singleQ4},
		{"Q4_K", 256, 144, p.packQ4K, nil, p.singleQ4K},
		{"Q5_K", 256, 176, p.packQ5K, nil, p.singleQ5K},
		{"Q6_K", 256, 210, p.packQ6K, nil, p.singleQ6K},
	} {
		p.packer(kind)
		p.single(kind)
	}
	p.define()
	return p.File
}

// A panelKind is a kind of blocks: its numbers, bytes, and the code that packs a block of eight rows, and that multiplies it
// with one vector. Where there is code that loads a block, the other multiplies the one loaded and loads the next.
type panelKind struct {
	name               string
	length, size       int
	pack, load, single func()
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
	*vec
	sums    int    // the register of C's first
	at      int    // the step, counted from what DI and DX show
	nibbles string // the operand of the lower halves of bytes
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

// rows sets the distances of a panel's eight rows, which begin at SI.
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

// fours loads 16 bytes of every row to Y0 to Y3, each with four bytes of all rows.
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

// halfScales widens an F16 of every row.
func (p *integerPanels) halfScales(offset int, to string) {
	p.I("VMOVD", p.of(0, offset), low(to))
	for r := 1; r < 8; r++ {
		p.I("VPINSRW", Imm(r), p.of(r, offset), low(to), low(to))
	}
	p.I("VCVTPH2PS", low(to), to)
}

func (p *integerPanels) packQ8() {
	for half := range 2 {
		p.fours(2 + 16*half)
		for i := range 4 {
			p.I("VMOVDQU", Y(i), Mem(128*half+32*i, "DX"))
		}
	}
	p.halfScales(0, "Y0")
	p.I("VMOVUPS", "Y0", Mem(panelScales, "DX"))
}

// lower and upper are the nibbles of bytes.
func (p *integerPanels) lower(from, to string) {
	p.I("VPAND", p.nibbles, from, to)
}

func (p *integerPanels) upper(from, to string) {
	p.I("VPSRLW", Imm(4), from, to)
	p.lower(to, to)
}

func (p *integerPanels) packQ4() {
	p.fours(2)
	for i := range 4 {
		p.lower(Y(i), "Y4")
		p.upper(Y(i), "Y5")
		p.I("VMOVDQU", "Y4", Mem(32*i, "DX"))
		p.I("VMOVDQU", "Y5", Mem(128+32*i, "DX"))
	}
	p.halfScales(0, "Y0")
	p.I("VMOVUPS", "Y0", Mem(panelScales, "DX"))
}

// sixBitScales packs the scales and least numbers of Q4_K's and Q5_K's blocks: two F16, then eight scales and eight least
// numbers of six bits in three times four bytes. The numbers' bytes are zero too large.
func (p *integerPanels) sixBitScales(zero int) {
	p.fours(0)
	p.I("VPSRLD", Imm(16), "Y0", "Y5")
	p.I("VPAND", p.bits("lowWords", 0xffff), "Y0", "Y4")
	p.I("VPACKUSDW", "Y5", "Y4", "Y4")
	p.I("VPERMQ", Imm(0xd8), "Y4", "Y4")
	p.I("VEXTRACTI128", Imm(1), "Y4", "X5")
	p.I("VCVTPH2PS", "X4", "Y4")
	p.I("VCVTPH2PS", "X5", "Y5")
	p.I("VPAND", p.bits("sixBits", 0x3f3f3f3f), "Y1", "Y6")
	p.I("VPAND", p.bits("sixBits", 0x3f3f3f3f), "Y2", "Y8")
	p.lower("Y3", "Y7")
	p.upper("Y3", "Y9")
	for i, first := range []string{"Y1", "Y2"} { // with two bits that the first four leave
		p.I("VPSRLW", Imm(2), first, first)
		p.I("VPAND", p.bits("upperTwoBits", 0x30303030), first, first)
		p.I("VPOR", first, Y(7+2*i), Y(7+2*i))
	}
	for group := range 8 {
		p.byteOf(Y(6+group/4), group%4, "Y0")
		p.I("VMULPS", "Y4", "Y0", "Y0")
		p.I("VMOVUPS", "Y0", Mem(panelStep*group+panelScales, "DX"))
		p.byteOf(Y(8+group/4), group%4, "Y1")
		p.I("VMULPS", "Y5", "Y1", "Y1")
		if zero != 0 {
			p.I("VFNMADD231PS", p.constant(fmt.Sprintf("zero%d", zero), float64(zero)), "Y0", "Y1")
		}
		p.I("VMOVUPS", "Y1", Mem(panelStep*group+panelOthers, "DX"))
	}
}

// byteOf widens the i-th byte of four.
func (p *integerPanels) byteOf(from string, i int, to string) {
	if i > 0 {
		p.I("VPSRLD", Imm(8*i), from, to)
		from = to
	}
	if i < 3 {
		p.I("VPAND", p.bits("lowBytes", 0xff), from, to)
	}
	p.I("VCVTDQ2PS", to, to)
}

func (p *integerPanels) packQ4K() {
	p.sixBitScales(0)
	for pair := range 4 {
		for half := range 2 {
			p.fours(16 + 32*pair + 16*half)
			for i := range 4 {
				at := panelStep*2*pair + 128*half + 32*i
				p.lower(Y(i), "Y4")
				p.upper(Y(i), "Y5")
				p.I("VMOVDQU", "Y4", Mem(at, "DX"))
				p.I("VMOVDQU", "Y5", Mem(at+panelStep, "DX"))
			}
		}
	}
}

// shifted is a register's words shifted to the left, or to the right if that is negative.
func (v *vec) shifted(from string, left int, to string) {
	if left < 0 {
		v.I("VPSRLW", Imm(-left), from, to)
	} else {
		v.I("VPSLLW", Imm(left), from, to)
	}
}

// packQ5K packs numbers less 16, so that a step's sums are small enough.
func (p *integerPanels) packQ5K() {
	p.sixBitScales(16)
	for half := range 2 {
		p.fours(16 + 16*half)
		for i := range 4 {
			p.I("VMOVDQA", Y(i), Y(8+i)) // fifth bits of eight groups
		}
		for pair := range 4 {
			p.fours(48 + 32*pair + 16*half)
			for i := range 4 {
				at := panelStep*2*pair + 128*half + 32*i
				p.lower(Y(i), "Y4")
				p.upper(Y(i), "Y5")
				for j := range 2 {
					p.shifted(Y(8+i), 4-2*pair-j, "Y6")
					p.I("VPAND", p.bits("fifthBits", 0x10101010), "Y6", "Y6")
					p.I("VPOR", "Y6", Y(4+j), Y(4+j))
					p.I("VMOVDQU", Y(4+j), Mem(at+panelStep*j, "DX"))
				}
			}
		}
	}
}

// signedScales packs the scales of Q6_K's blocks, two of 16 numbers a step.
func (p *integerPanels) signedScales() {
	p.halfScales(208, "Y8")
	p.fours(192)
	for scale := range 16 {
		if shift := 24 - 8*(scale%4); shift > 0 {
			p.I("VPSLLD", Imm(shift), Y(scale/4), "Y4")
			p.I("VPSRAD", Imm(24), "Y4", "Y4")
		} else {
			p.I("VPSRAD", Imm(24), Y(scale/4), "Y4")
		}
		p.I("VCVTDQ2PS", "Y4", "Y4")
		p.I("VMULPS", "Y8", "Y4", "Y4")
		p.I("VMOVUPS", "Y4", Mem(panelStep*(scale/2)+panelScales+32*(scale%2), "DX"))
	}
}

func (p *integerPanels) packQ6K() {
	p.signedScales()
	for block := range 2 { // of 128 numbers: 64 bytes of lower bits, 32 of upper ones
		for half := range 2 {
			p.fours(128 + 32*block + 16*half)
			for i := range 4 {
				p.I("VMOVDQA", Y(i), Y(8+i))
			}
			for quarter := range 2 {
				p.fours(64*block + 32*quarter + 16*half)
				for i := range 4 {
					at := panelStep*(4*block+quarter) + 128*half + 32*i
					p.lower(Y(i), "Y4")
					p.upper(Y(i), "Y5")
					for j := range 2 {
						p.shifted(Y(8+i), 4-2*(quarter+2*j), "Y6")
						p.I("VPAND", p.bits("upperTwoBits", 0x30303030), "Y6", "Y6")
						p.I("VPOR", "Y6", Y(4+j), Y(4+j))
						p.I("VMOVDQU", Y(4+j), Mem(at+2*panelStep*j, "DX"))
					}
				}
			}
		}
	}
}

// packer writes the packing of a panel.
func (p *integerPanels) packer(kind panelKind) {
	name := "packPanel" + kind.name
	p.Func(name, fmt.Sprintf(`%s packs eight rows of blocks, ld bytes apart; k is a positive multiple of %d.`, name, kind.length),
		Arg{"panel", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"})
	p.I("MOVQ", p.Arg("panel"), "DX")
	p.I("MOVQ", p.Arg("b"), "SI")
	p.I("MOVQ", p.Arg("k"), "CX")
	p.rows()
	loop := p.NewLabel("loop")
	p.Label(loop)
	kind.pack()
	p.I("ADDQ", Imm(kind.size), "SI")
	p.I("ADDQ", Imm(panelStep*kind.length/32), "DX")
	p.I("SUBQ", Imm(kind.length), "CX")
	p.I("JNZ", loop)
	p.Return()
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
