package main

import "fmt"

// gemmIntegerVNNI writes the products of panels and rows rounded to eight bits in AVX512_VNNI. A panel is sixteen rows of
// blocks, 32 numbers a step: VPDPBUSD multiplies four bytes of each row, without a sign, by the same four of a vector, and
// adds all four to the row's lane of 32 bits. Sums and the order in which they are scaled are those of integerPanels.
func gemmIntegerVNNI() *File {
	p := &integerVNNI{vec: &vec{File: NewFile("../gemm", "integer_vnni"), constants: map[string]bool{}}}
	p.roundGroups("roundGroupsVNNI", true)
	p.multiplier("Scaled", p.scaled)
	p.multiplier("Groups", p.groups)
	p.multiplier("Halves", p.halves)
	const nibbles, signs, fifths, upperTwo = 0x0f0f0f0f, 0x80808080, 0x10101010, 0x30303030
	for _, kind := range []kindVNNI{
		{name: "Q8_0", length: 32, size: 34, unpack: p.unpackQ8, masks: [2]uint32{signs}},
		{name: "Q4_0", length: 32, size: 18, unpack: p.unpackQ4, masks: [2]uint32{nibbles}},
		{name: "Q4_K", length: 256, size: 144, unpack: p.unpackQ4K, masks: [2]uint32{nibbles}, least: true},
		{name: "Q5_K", length: 256, size: 176, unpack: p.unpackQ5K, masks: [2]uint32{nibbles, fifths}, least: true},
		{name: "Q6_K", length: 256, size: 210, unpack: p.unpackQ6K, masks: [2]uint32{nibbles, upperTwo}, halves: true},
	} {
		p.packer(kind)
		p.single(kind)
	}
	p.define()
	return p.File
}

// A kindVNNI is a kind of blocks: its numbers, bytes, the code that unpacks a block of sixteen rows, the masks that this
// has in Z14 and Z15, and whether a step has least numbers, or two scales.
type kindVNNI struct {
	name          string
	length, size  int
	unpack        func()
	masks         [2]uint32
	least, halves bool
}

// What package gemm knows of a panel of sixteen columns: what two of eight have, side by side.
const (
	wideStep   = 2 * panelStep
	wideScales = 2 * panelScales
	wideOthers = 2 * panelOthers
)

// integerVNNI unpacks blocks to fours of bytes of sixteen rows, and gives these to keep: number four of eight of a step. scale
// gets a step's scales, and what else it has.
type integerVNNI struct {
	*vec
	keep  func(step, four int, bytes string)
	scale func(step, which int, scales string)
}

// rows sets what the sixteen rows of a panel need: eight begin at SI, eight at AX.
func (p *integerVNNI) rows() {
	p.I("MOVQ", p.Arg("ld"), "R8")
	p.distances()
	for i := range 3 {
		p.I("MOVL", Imm(0xf0<<(4*i)), "AX")
		p.I("KMOVW", "AX", K(1+i))
	}
	words := make([]uint32, 16)
	for i := range words {
		words[i] = uint32(i)
	}
	p.I("VPBROADCASTD", "R8", "Z12")
	p.I("VPMULLD", p.table("rowNumbers", words...), "Z12", "Z12")
}

// masks loads a kind's masks.
func (p *integerVNNI) masks(kind kindVNNI) {
	for i, mask := range kind.masks {
		if mask != 0 {
			p.I("MOVL", fmt.Sprintf("$0x%08x", mask), "AX")
			p.I("VPBROADCASTD", "AX", Z(14+i))
		}
	}
}

// of is an operand in the r-th of sixteen rows.
func (p *integerVNNI) of(r, offset int) string {
	return rowOf(r%8, offset, []string{"SI", "AX"}[r/8])
}

// fours loads 16 bytes of every row to Z0 to Z3, each with four bytes of all rows.
func (p *integerVNNI) fours(offset int) {
	for i := range 4 {
		p.I("VMOVDQU", p.of(i, offset), X(i))
		for lane := 1; lane < 4; lane++ {
			p.I("VBROADCASTI32X4", p.of(i+4*lane, offset), K(lane), Z(i))
		}
	}
	p.transposeFours(Z)
}

// halfScales widens an F16 of every row: the lower half of four bytes, or the upper one.
func (p *integerVNNI) halfScales(offset int, upper bool, to string) {
	p.I("KXNORW", "K0", "K0", "K4")
	p.I("VPXORD", to, to, to)
	p.I("VPGATHERDD", fmt.Sprintf("%d(SI)(Z12*1)", offset), "K4", to)
	p.widen(upper, to, to)
}

// widen makes float32 of one F16 of every two.
func (p *integerVNNI) widen(upper bool, from, to string) {
	if upper {
		p.I("VPSRLD", Imm(16), from, to)
		from = to
	}
	p.I("VPMOVDW", from, "Y"+to[1:])
	p.I("VCVTPH2PS", "Y"+to[1:], to)
}

// nibbles are those of Z(i), to Z4 the lower and to Z5 the upper ones.
func (p *integerVNNI) nibbles(i int) {
	p.I("VPANDD", "Z14", Z(i), "Z4")
	p.I("VPSRLW", Imm(4), Z(i), "Z5")
	p.I("VPANDD", "Z14", "Z5", "Z5")
}

// joined ors what a mask leaves of a register's words, which are shifted to the left.
func (p *integerVNNI) joined(from string, left int, mask, to string) {
	if left != 0 {
		p.shifted(from, left, "Z6")
		from = "Z6"
	}
	p.I("VPTERNLOGD", Imm(0xf8), mask, from, to) // to | from & mask
}

func (p *integerVNNI) unpackQ8() {
	for half := range 2 {
		p.fours(2 + 16*half)
		for i := range 4 {
			p.I("VPXORD", "Z14", Z(i), Z(i)) // 128 too large
			p.keep(0, 4*half+i, Z(i))
		}
	}
	p.halfScales(0, false, "Z11")
	p.scale(0, 0, "Z11")
}

func (p *integerVNNI) unpackQ4() {
	p.fours(2)
	for i := range 4 {
		p.nibbles(i)
		p.keep(0, i, "Z4")
		p.keep(0, 4+i, "Z5")
	}
	p.halfScales(0, false, "Z11")
	p.scale(0, 0, "Z11")
}

// sixBitScales is integerPanels.sixBitScales.
func (p *integerVNNI) sixBitScales(zero int) {
	p.fours(0)
	p.widen(false, "Z0", "Z4")
	p.widen(true, "Z0", "Z5")
	sixBits, upper := p.bits("sixBits", 0x3f3f3f3f), p.bits("upperTwoBits", 0x30303030)
	p.I("VPANDD.BCST", sixBits, "Z1", "Z6")
	p.I("VPANDD.BCST", sixBits, "Z2", "Z8")
	p.I("VPANDD", "Z14", "Z3", "Z7")
	p.I("VPSRLW", Imm(4), "Z3", "Z9")
	p.I("VPANDD", "Z14", "Z9", "Z9")
	for i := range 2 { // with two bits that the first four leave
		p.I("VPSRLW", Imm(2), Z(1+i), Z(1+i))
		p.I("VPTERNLOGD.BCST", Imm(0xf8), upper, Z(1+i), Z(7+2*i))
	}
	for group := range 8 {
		p.byteOf(Z(6+group/4), group%4, "Z0")
		p.I("VMULPS", "Z4", "Z0", "Z0")
		p.scale(group, 0, "Z0")
		p.byteOf(Z(8+group/4), group%4, "Z1")
		p.I("VMULPS", "Z5", "Z1", "Z1")
		if zero != 0 {
			p.I("VFNMADD231PS.BCST", p.constant(fmt.Sprintf("zero%d", zero), float64(zero)), "Z0", "Z1")
		}
		p.scale(group, 1, "Z1")
	}
}

// byteOf widens the i-th byte of four.
func (p *integerVNNI) byteOf(from string, i int, to string) {
	if i > 0 {
		p.I("VPSRLD", Imm(8*i), from, to)
		from = to
	}
	if i < 3 {
		p.I("VPANDD.BCST", p.bits("lowBytes", 0xff), from, to)
	}
	p.I("VCVTDQ2PS", to, to)
}

func (p *integerVNNI) unpackQ4K() {
	p.sixBitScales(0)
	for pair := range 4 {
		for half := range 2 {
			p.fours(16 + 32*pair + 16*half)
			for i := range 4 {
				p.nibbles(i)
				p.keep(2*pair, 4*half+i, "Z4")
				p.keep(2*pair+1, 4*half+i, "Z5")
			}
		}
	}
}

// unpackQ5K gives numbers that are taken as 16 less, as integerPanels does.
func (p *integerVNNI) unpackQ5K() {
	p.sixBitScales(16)
	for half := range 2 {
		p.fours(16 + 16*half)
		for i := range 4 {
			p.I("VMOVDQA64", Z(i), Z(8+i)) // fifth bits of eight groups
		}
		for pair := range 4 {
			p.fours(48 + 32*pair + 16*half)
			for i := range 4 {
				p.nibbles(i)
				for j := range 2 {
					p.joined(Z(8+i), 4-2*pair-j, "Z15", Z(4+j))
					p.keep(2*pair+j, 4*half+i, Z(4+j))
				}
			}
		}
	}
}

func (p *integerVNNI) unpackQ6K() {
	p.halfScales(206, true, "Z8")
	p.fours(192)
	for scale := range 16 { // two of 16 numbers a step
		from := Z(scale / 4)
		if shift := 24 - 8*(scale%4); shift > 0 {
			p.I("VPSLLD", Imm(shift), from, "Z4")
			from = "Z4"
		}
		p.I("VPSRAD", Imm(24), from, "Z4")
		p.I("VCVTDQ2PS", "Z4", "Z4")
		p.I("VMULPS", "Z8", "Z4", "Z4")
		p.scale(scale/2, scale%2, "Z4")
	}
	for block := range 2 { // of 128 numbers: 64 bytes of lower bits, 32 of upper ones
		for half := range 2 {
			p.fours(128 + 32*block + 16*half)
			for i := range 4 {
				p.I("VMOVDQA64", Z(i), Z(8+i))
			}
			for quarter := range 2 {
				p.fours(64*block + 32*quarter + 16*half)
				for i := range 4 {
					p.nibbles(i)
					for j := range 2 {
						p.joined(Z(8+i), 4-2*(quarter+2*j), "Z15", Z(4+j))
						p.keep(4*block+quarter+2*j, 4*half+i, Z(4+j))
					}
				}
			}
		}
	}
}

// storeScales keeps scales in the panel.
func (p *integerVNNI) storeScales(step, which int, scales string) {
	p.I("VMOVUPS", scales, Mem(wideStep*step+wideScales+(wideOthers-wideScales)*which, "DX"))
}

// packer writes the packing of a panel.
func (p *integerVNNI) packer(kind kindVNNI) {
	name := "packPanelVNNI" + kind.name
	p.Func(name, fmt.Sprintf(`%s packs sixteen rows of blocks, ld bytes apart; k is a positive multiple of %d.`, name, kind.length),
		Arg{"panel", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"})
	p.I("MOVQ", p.Arg("panel"), "DX")
	p.I("MOVQ", p.Arg("b"), "SI")
	p.I("MOVQ", p.Arg("k"), "CX")
	p.rows()
	p.masks(kind)
	p.I("LEAQ", Idx(0, "SI", "R8", 8), "AX")
	p.keep = func(step, four int, bytes string) { p.I("VMOVDQU64", bytes, Mem(wideStep*step+64*four, "DX")) }
	p.scale = p.storeScales
	loop := p.NewLabel("loop")
	p.Label(loop)
	kind.unpack()
	p.I("ADDQ", Imm(kind.size), "SI")
	p.I("ADDQ", Imm(kind.size), "AX")
	p.I("ADDQ", Imm(wideStep*kind.length/32), "DX")
	p.I("SUBQ", Imm(kind.length), "CX")
	p.I("JNZ", loop)
	p.Return()
}

// single writes the product of one rounded row and panels: what is unpacked is multiplied at once, and only the scales
// of large blocks are kept in the panel. Z13 has the sums of C; a step's are in Z16 and on.
func (p *integerVNNI) single(kind kindVNNI) {
	name := "panelsVNNI" + kind.name
	p.Func(name, fmt.Sprintf(`%s multiplies one rounded row by a positive number of times sixteen rows of blocks, ld bytes apart; k is a
positive multiple of %d, and panel has room for %d steps: c[:8*panels] += x * panels, panels being even.`,
		name, kind.length, kind.length/32),
		Arg{"c", "unsafe.Pointer"}, Arg{"x", "unsafe.Pointer"}, Arg{"panel", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"},
		Arg{"ld", "int"}, Arg{"k", "int"}, Arg{"panels", "int"})
	p.I("MOVQ", p.Arg("c"), "R14")
	p.I("MOVQ", p.Arg("panel"), "DX")
	p.I("MOVQ", p.Arg("b"), "R13")
	p.I("MOVQ", p.Arg("panels"), "R12")
	p.rows()
	p.masks(kind)
	steps, parts := kind.length/32, 1
	if kind.halves {
		parts = 2
	}
	sum := func(step, part int) string { return Z(16 + parts*step + part) }
	p.keep = func(step, four int, bytes string) {
		p.I("VPDPBUSD.BCST", Mem(roundedGroup*step+4*four, "DI"), bytes, sum(step, four*parts/8))
	}
	p.scale = p.storeScales
	if steps == 1 {
		p.scale = func(int, int, string) {}
	}
	panel, loop := p.NewLabel("panel"), p.NewLabel("loop")
	p.Label(panel)
	p.I("MOVQ", "R13", "SI")
	p.I("LEAQ", Idx(0, "SI", "R8", 8), "AX")
	p.I("LEAQ", Idx(0, "AX", "R8", 8), "R13")
	p.I("MOVQ", "R13", "BX")
	p.I("MOVQ", p.Arg("x"), "DI")
	p.I("MOVQ", p.Arg("k"), "CX")
	p.I("VMOVUPS", Mem(0, "R14"), "Z13")
	p.I("PCALIGN", Imm(32))
	p.Label(loop)
	for line := 0; line < 16*kind.size; line += 64 { // the next panel, in the order in which it lies
		p.I("PREFETCHT0", Mem(line, "BX"))
	}
	p.I("ADDQ", Imm(16*kind.size), "BX")
	for step := range steps {
		for part := range parts {
			p.I("VPBROADCASTD", Mem(roundedGroup*step+groupZeros+4*(parts-1)*(1+part), "DI"), sum(step, part))
		}
	}
	kind.unpack()
	for step := range steps {
		for part := range parts {
			scales := "Z11"
			if steps > 1 {
				scales = Mem(wideStep*step+wideScales+(wideOthers-wideScales)*part, "DX")
			}
			p.I("VCVTDQ2PS", sum(step, part), sum(step, part))
			p.I("VMULPS", scales, sum(step, part), sum(step, part))
			p.I("VFMADD231PS.BCST", Mem(roundedGroup*step+groupScale, "DI"), sum(step, part), "Z13")
		}
		if kind.least {
			p.I("VMOVUPS", Mem(wideStep*step+wideOthers, "DX"), "Z4")
			p.I("VFNMADD231PS.BCST", Mem(roundedGroup*step+groupSum, "DI"), "Z4", "Z13")
		}
	}
	p.I("ADDQ", Imm(kind.size), "SI")
	p.I("ADDQ", Imm(kind.size), "AX")
	p.I("ADDQ", Imm(roundedGroup*kind.length/32), "DI")
	p.I("SUBQ", Imm(kind.length), "CX")
	p.I("JNZ", loop)
	p.I("VMOVUPS", "Z13", Mem(0, "R14"))
	p.I("ADDQ", Imm(64), "R14")
	p.I("SUBQ", Imm(2), "R12")
	p.I("JNZ", panel)
	p.Return()
}
