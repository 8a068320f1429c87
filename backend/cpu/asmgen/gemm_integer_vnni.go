package main

import "fmt"

// gemmIntegerVNNI writes the products of panels and rows rounded to eight bits in AVX512_VNNI. A panel is sixteen rows of
// blocks, 32 numbers a step: VPDPBUSD multiplies four bytes of each row, without a sign, by the same four of a vector, and
// adds all four to the row's lane of 32 bits. Sums and the order in which they are scaled are those of integerPanels.
func gemmIntegerVNNI() *File {
	p := &integerVNNI{&unpacker{
		vec: &vec{File: NewFile("../gemm", "integer_vnni"), constants: map[string]bool{}}, wide: true, r: Z, scales: "Z11",
	}}
	p.panelRows = p
	p.roundGroups("roundGroupsVNNI", true)
	p.multiplier("Scaled", p.scaled)
	p.multiplier("Groups", p.groups)
	p.multiplier("Halves", p.halves)
	for _, kind := range p.kinds() {
		p.packer(kind)
		p.single(kind)
	}
	p.packer(p.wholeQ5K())
	p.define()
	return p.File
}

// What package gemm knows of a panel of sixteen columns: what two of eight have, side by side.
const (
	wideStep   = 2 * panelStep
	wideScales = 2 * panelScales
	wideOthers = 2 * panelOthers
)

// integerVNNI multiplies what it unpacks: masks of bytes are in Z14 and Z15.
type integerVNNI struct{ *unpacker }

// rows sets what the sixteen rows of a panel need: eight begin at SI, eight at AX; K1 to K3 are the second to last four
// lanes of 32 bits, K4 to K6 the second to last lane of every four.
func (p *integerVNNI) rows() {
	p.I("MOVQ", p.Arg("ld"), "R8")
	p.distances()
	for i := range 3 {
		for j, mask := range []int{0xf0 << (4 * i), 0x2222 << i} {
			p.I("MOVL", Imm(mask), "AX")
			p.I("KMOVW", "AX", K(1+3*j+i))
		}
	}
}

// of is an operand in the r-th of sixteen rows.
func (p *integerVNNI) of(r, offset int) string {
	return rowOf(r%8, offset, []string{"SI", "AX"}[r/8])
}

func (p *integerVNNI) fours(offset int) {
	for i := range 4 {
		p.I("VMOVDQU", p.of(i, offset), X(i))
		for lane := 1; lane < 4; lane++ {
			p.I("VBROADCASTI32X4", p.of(i+4*lane, offset), K(lane), Z(i))
		}
	}
	p.transposeFours(Z)
}

// halfScales loads 32 bits of every row to its lane: a gather is sixty operations and more on AMD's processors.
func (p *integerVNNI) halfScales(offset int, upper bool, to string) {
	lanes := []string{to, "Z4", "Z5", "Z6"}
	for i, z := range lanes {
		p.I("VPBROADCASTD", p.of(i, offset), z)
		for four := 1; four < 4; four++ {
			p.I("VPBROADCASTD", p.of(i+4*four, offset), K(four), z)
		}
	}
	for i := 1; i < 4; i++ {
		p.I("VMOVDQA32", lanes[i], K(3+i), to)
	}
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

func (p *integerVNNI) twoHalves() {
	p.widen(false, "Z0", "Z4")
	p.widen(true, "Z0", "Z5")
}

// single writes the product of one rounded row and panels: what is unpacked is multiplied at once, and only the scales
// of large blocks are kept in the panel. Z13 has the sums of C; a step's are in Z16 and on.
func (p *integerVNNI) single(kind panelKind) {
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
	p.hold(kind)
	steps, parts := kind.length/32, 1
	if kind.halves {
		parts = 2
	}
	sum := func(step, part int) string { return Z(16 + parts*step + part) }
	kept, fetched := 0, 0
	p.keep = func(step, four int, bytes string) {
		p.I("VPDPBUSD.BCST", Mem(roundedGroup*step+4*four, "DI"), bytes, sum(step, four*parts/8))
		// The next panel, in the order in which it lies, a few lines at a time: asked for at once they wait for each other.
		for kept++; fetched < 16*kind.size*kept/(8*steps); fetched += 64 {
			p.I("PREFETCHT0", Mem(fetched, "BX"))
		}
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
				scales = p.inPanel(step, part)
			}
			p.I("VCVTDQ2PS", sum(step, part), sum(step, part))
			p.I("VMULPS", scales, sum(step, part), sum(step, part))
			p.I("VFMADD231PS.BCST", Mem(roundedGroup*step+groupScale, "DI"), sum(step, part), "Z13")
		}
		if kind.least {
			p.I("VMOVUPS", p.inPanel(step, 1), "Z4")
			p.I("VFNMADD231PS.BCST", Mem(roundedGroup*step+groupSum, "DI"), "Z4", "Z13")
		}
	}
	p.I("ADDQ", Imm(kind.size), "SI")
	p.I("ADDQ", Imm(kind.size), "AX")
	p.I("ADDQ", Imm(16*kind.size), "BX")
	p.I("ADDQ", Imm(roundedGroup*kind.length/32), "DI")
	p.I("SUBQ", Imm(kind.length), "CX")
	p.I("JNZ", loop)
	p.I("VMOVUPS", "Z13", Mem(0, "R14"))
	p.I("ADDQ", Imm(64), "R14")
	p.I("SUBQ", Imm(2), "R12")
	p.I("JNZ", panel)
	p.Return()
}
