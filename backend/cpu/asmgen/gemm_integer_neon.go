package main

import "fmt"

// gemmIntegerNEON writes the products of panels and rows rounded to eight bits of arm64. SDOT multiplies sixteen bytes by
// sixteen and adds four products to each of four sums, SMMLA two rows of eight bytes by two and adds eight to each. A panel
// is eight rows of blocks, 32 numbers a step: of each eight bytes those of two rows are together, as SMMLA reads them. A
// single row is multiplied with the rows of blocks where they lie. Sums of integers are exact, and their scales
// are applied in the order of AVX2's, so that all three give the same bits.
func gemmIntegerNEON() *File {
	p := &integerNEON{File: newFileFor("arm64", "../gemm", "neon_integers")}
	p.roundGroups()
	for _, matrices := range []bool{false, true} {
		p.multiplier("Bytes", matrices, false, false)
		p.multiplier("Groups", matrices, true, false)
		p.multiplier("Halves", matrices, false, true)
	}
	for _, kind := range p.kinds() {
		p.packer(kind)
		p.single(kind)
	}
	return p.File
}

type integerNEON struct{ *File }

// A kindNEON is a kind of blocks. Parts of a row are unpacked, as so many vectors of sixteen bytes, which are zero too large;
// V26 and V27 have the masks, V24 and V25 are free.
type kindNEON struct {
	name         string
	length, size int
	zero         int
	least        bool // sums of x times least numbers come off
	halves       bool // each 16 numbers have a scale
	masks        []int
	scales       func() // to the panel's steps, at R10; the rows are at R1 and up, and all vectors but masks free
	parts        [][]placeNEON
	unpack       func(part int, row string, to int)
}

// A placeNEON is sixteen numbers' step in a block, and half of it.
type placeNEON struct{ step, half int }

func (p *integerNEON) kinds() []kindNEON {
	step := [][]placeNEON{{{0, 0}, {0, 1}}}
	var pairs, sixes [][]placeNEON
	for pair := range 4 {
		pairs = append(pairs, []placeNEON{{2 * pair, 0}, {2 * pair, 1}, {2*pair + 1, 0}, {2*pair + 1, 1}})
	}
	for part := range 8 {
		first := 4*(part/4) + part/2%2
		sixes = append(sixes, []placeNEON{{first, part % 2}, {first + 2, part % 2}})
	}
	plain := func() { p.halfScales(0, "V0", "V1"); p.storeScales(0, panelScales, "V0", "V1") }
	return []kindNEON{
		{name: "Q8_0", length: 32, size: 34, scales: plain, parts: step, unpack: func(_ int, row string, to int) {
			p.I("FMOVQ", Mem(2, row), fmt.Sprintf("F%d", to))
			p.I("FMOVQ", Mem(18, row), fmt.Sprintf("F%d", to+1))
		}},
		{name: "Q4_0", length: 32, size: 18, zero: 8, masks: []int{15}, scales: plain, parts: step,
			unpack: func(_ int, row string, to int) { p.nibbles(2, row, to, to+1) }},
		{name: "Q4_K", length: 256, size: 144, least: true, masks: []int{15}, scales: func() { p.sixBitScales(0) },
			parts: pairs, unpack: func(part int, row string, to int) {
				for half := range 2 {
					p.nibbles(16+32*part+16*half, row, to+half, to+2+half)
				}
			}},
		{name: "Q5_K", length: 256, size: 176, zero: 16, least: true, masks: []int{1, 16},
			scales: func() { p.sixBitScales(16) }, parts: pairs, unpack: func(part int, row string, to int) {
				for half := range 2 {
					p.withUpper(48+32*part+16*half, 16+16*half, row, 2*part, 2*part+1, to+half, to+2+half)
				}
			}},
		{name: "Q6_K", length: 256, size: 210, zero: 32, halves: true, masks: []int{3, 0x30}, scales: p.byteScales,
			parts: sixes, unpack: func(part int, row string, to int) {
				block, quarter, half := part/4, part/2%2, part%2
				p.withUpper(64*block+32*quarter+16*half, 128+32*block+16*half, row, 2*quarter, 2*quarter+4, to, to+1)
			}},
	}
}

// nibbles puts the lower and the upper halves of sixteen bytes into registers.
func (p *integerNEON) nibbles(offset int, row string, lower, upper int) {
	p.I("FMOVQ", Mem(offset, row), "F24")
	p.I("VAND", "V26.B16", "V24.B16", fmt.Sprintf("V%d.B16", lower))
	p.I("VUSHR", Imm(4), "V24.B16", fmt.Sprintf("V%d.B16", upper))
}

// withUpper is nibbles with upper bits, those of other bytes from two bits on, as many as the masks V26 and V27, which is
// that four bits up, have.
func (p *integerNEON) withUpper(offset, upperOffset int, row string, lowerBit, upperBit, lower, upper int) {
	lo, hi := fmt.Sprintf("V%d.B16", lower), fmt.Sprintf("V%d.B16", upper)
	p.I("FMOVQ", Mem(offset, row), fmt.Sprintf("F%d", lower))
	p.I("FMOVQ", Mem(upperOffset, row), "F24")
	from := "V24.B16"
	switch {
	case upperBit < 4:
		p.I("VSHL", Imm(4-upperBit), from, hi)
		from = hi
	case upperBit > 4:
		p.I("VUSHR", Imm(upperBit-4), from, hi)
		from = hi
	}
	p.I("VAND", "V27.B16", from, hi)
	p.I("VSRI", Imm(4), lo, hi)
	if lowerBit > 0 {
		p.I("VUSHR", Imm(lowerBit), "V24.B16", "V24.B16")
	}
	p.I("VAND", "V26.B16", "V24.B16", "V24.B16")
	p.I("VSLI", Imm(4), "V24.B16", lo)
}

// rowNEON is the register with the address of the r-th of a panel's rows.
func rowNEON(r int) string { return fmt.Sprintf("R%d", 1+r) }

// halfScales widens an F16 of every row.
func (p *integerNEON) halfScales(offset int, lower, upper string) {
	for r := range 8 {
		at := rowNEON(r)
		if offset > 0 {
			p.I("ADD", Imm(offset), at, "R15")
			at = "R15"
		}
		p.I("VLD1", "("+at+")", fmt.Sprintf("%s.H[%d]", lower, r))
	}
	p.Word("fcvtl2 4s 8h", upper, lower)
	p.Word("fcvtl 4s 4h", lower, lower)
}

// storeScales puts eight numbers into a step of the panel.
func (p *integerNEON) storeScales(step, offset int, lower, upper string) {
	for i, v := range []string{lower, upper} {
		p.I("FMOVQ", scalarOf(v), Mem(panelStep*step+offset+16*i, "R10"))
	}
}

// wordsOf loads sixteen bytes of every row: the i-th four of the first four rows to V(i), of the others to V(4+i).
func (p *integerNEON) wordsOf(offset int) {
	for half := range 2 {
		v := func(i int, shape string) string { return fmt.Sprintf("V%d.%s", 4*half+i, shape) }
		for r := range 4 {
			p.I("FMOVQ", Mem(offset, rowNEON(4*half+r)), fmt.Sprintf("F%d", 4*half+r))
		}
		for pair := range 2 {
			for odd := range 2 {
				p.I(fmt.Sprintf("VTRN%d", 1+odd), v(2*pair+1, "S4"), v(2*pair, "S4"), fmt.Sprintf("V%d.S4", 16+2*pair+odd))
			}
		}
		for odd := range 2 {
			for upper := range 2 {
				p.I(fmt.Sprintf("VTRN%d", 1+upper), fmt.Sprintf("V%d.D2", 18+odd), fmt.Sprintf("V%d.D2", 16+odd), v(odd+2*upper, "D2"))
			}
		}
	}
}

// sixBitScales packs the scales and least numbers of Q4_K's and Q5_K's blocks, as integerPanels.sixBitScales does.
func (p *integerNEON) sixBitScales(zero int) {
	p.wordsOf(0)
	for i, mask := range []int{0x3f, 0x30, 0x0f} {
		p.I("VMOVI", Imm(mask), fmt.Sprintf("V%d.B16", 20+i))
	}
	p.I("VMOVI", Imm(0xff), "V23.B16")
	p.I("VUSHR", Imm(24), "V23.S4", "V23.S4")
	if zero != 0 {
		p.I("FMOVS", fmt.Sprintf("$%d.0", zero), "F25")
		p.I("VDUP", "V25.S[0]", "V25.S4")
	}
	for half := range 2 {
		v := func(i int) string { return fmt.Sprintf("V%d", 4*half+i) }
		b := func(i int) string { return all16(v(i)) }
		p.I("VUZP2", v(0)+".H8", v(0)+".H8", "V17.H8") // the factors of least numbers, then of scales
		p.I("VUZP1", v(0)+".H8", v(0)+".H8", "V16.H8")
		p.Word("fcvtl 4s 4h", "V16", "V16")
		p.Word("fcvtl 4s 4h", "V17", "V17")
		p.I("VUSHR", Imm(4), b(3), "V9.B16")
		p.I("VAND", "V22.B16", b(3), "V8.B16")
		for i := range 2 { // scales to V1 and V8, least numbers to V2 and V9
			p.I("VUSHR", Imm(2), b(1+i), "V10.B16")
			p.I("VAND", "V21.B16", "V10.B16", "V10.B16")
			p.I("VORR", "V10.B16", fmt.Sprintf("V%d.B16", 8+i), fmt.Sprintf("V%d.B16", 8+i))
			p.I("VAND", "V20.B16", b(1+i), b(1+i))
		}
		for group := range 8 {
			scales, leasts := []string{v(1), "V8"}[group/4], []string{v(2), "V9"}[group/4]
			for i, from := range []string{scales, leasts} {
				to := fmt.Sprintf("V%d", 18+i)
				if shift := 8 * (group % 4); shift > 0 {
					p.I("VUSHR", Imm(shift), singles(from), singles(to))
					from = to
				}
				if group%4 < 3 {
					p.I("VAND", "V23.B16", all16(from), all16(to))
				}
				p.Word("scvtf 4s", to, to)
				p.Word("fmul 4s", to, to, fmt.Sprintf("V%d", 16+i))
			}
			if zero != 0 {
				p.I("VFMLS", "V25.S4", "V18.S4", "V19.S4")
			}
			p.I("FMOVQ", "F18", Mem(panelStep*group+panelScales+16*half, "R10"))
			p.I("FMOVQ", "F19", Mem(panelStep*group+panelOthers+16*half, "R10"))
		}
	}
}

// byteScales packs Q6_K's sixteen scales, bytes times an F16.
func (p *integerNEON) byteScales() {
	p.halfScales(208, "V8", "V9")
	p.wordsOf(192)
	for scale := range 16 {
		for half := range 2 {
			from, to := fmt.Sprintf("V%d", 4*half+scale/4), fmt.Sprintf("V%d", 10+half)
			if shift := 24 - 8*(scale%4); shift > 0 {
				p.I("VSHL", Imm(shift), singles(from), singles(to))
				from = to
			}
			p.Word("sshr 4s #24", to, from)
			p.Word("scvtf 4s", to, to)
			p.Word("fmul 4s", to, to, fmt.Sprintf("V%d", 8+half))
		}
		p.storeScales(scale/2, panelScales+32*(scale%2), "V10", "V11")
	}
}

// rows sets the addresses of a panel's eight rows, R14 bytes apart.
func (p *integerNEON) rows(first string) {
	p.I("MOVD", first, rowNEON(0))
	for r := 1; r < 8; r++ {
		p.I("ADD", "R14", rowNEON(r-1), rowNEON(r))
	}
}

func (p *integerNEON) setMasks(kind kindNEON) {
	for i, mask := range kind.masks {
		p.I("VMOVI", Imm(mask), fmt.Sprintf("V%d.B16", 26+i))
	}
}

func (p *integerNEON) nextBlock(kind kindNEON) {
	for r := range 8 {
		p.I("ADD", Imm(kind.size), rowNEON(r), rowNEON(r))
	}
}

// packer writes the packing of a panel, of bytes that are not too large.
func (p *integerNEON) packer(kind kindNEON) {
	name := "packPanelNEON" + kind.name
	p.Func(name, fmt.Sprintf(`%s packs eight rows of blocks, ld bytes apart; k is a positive multiple of %d.`, name, kind.length),
		Arg{"panel", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"})
	for i, arg := range words("panel b k ld") {
		p.I("MOVD", p.Arg(arg), words("R10 R11 R13 R14")[i])
	}
	p.rows("R11")
	p.setMasks(kind)
	if kind.zero != 0 {
		p.I("VMOVI", Imm(kind.zero), "V28.B16")
	}
	loop := p.NewLabel("loop")
	p.Label(loop)
	kind.scales()
	for part, places := range kind.parts {
		for pair := range 4 {
			for r, first := range []int{16, 20} {
				kind.unpack(part, rowNEON(2*pair+r), first)
			}
			for i, at := range places {
				one, two := fmt.Sprintf("V%d", 16+i), fmt.Sprintf("V%d", 20+i)
				if kind.zero != 0 {
					p.I("VSUB", "V28.B16", all16(one), all16(one))
					p.I("VSUB", "V28.B16", all16(two), all16(two))
				}
				for upper := range 2 {
					p.I(fmt.Sprintf("VTRN%d", 1+upper), two+".D2", one+".D2", fmt.Sprintf("V%d.D2", upper))
					p.I("FMOVQ", fmt.Sprintf("F%d", upper), Mem(panelStep*at.step+128*at.half+64*upper+16*pair, "R10"))
				}
			}
		}
	}
	p.nextBlock(kind)
	p.I("ADD", Imm(panelStep*kind.length/32), "R10", "R10")
	p.I("SUBS", Imm(kind.length), "R13", "R13")
	p.I("BNE", loop)
	p.I("RET")
}

// single writes the product of one rounded row and rows of blocks, of which the panel holds the scales.
func (p *integerNEON) single(kind kindNEON) {
	name := "panelsNEON" + kind.name
	p.Func(name, fmt.Sprintf(`%s multiplies one rounded row by a positive number of times eight rows of blocks, ld bytes apart; k is a positive
multiple of %d, and panel has room for %d steps: c[:8*panels] += x * b.`, name, kind.length, kind.length/32),
		Arg{"c", "unsafe.Pointer"}, Arg{"x", "unsafe.Pointer"}, Arg{"panel", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"},
		Arg{"ld", "int"}, Arg{"k", "int"}, Arg{"panels", "int"})
	for i, arg := range words("c panel b panels ld") {
		p.I("MOVD", p.Arg(arg), words("R0 R10 R11 R12 R14")[i])
	}
	p.setMasks(kind)
	panel, loop := p.NewLabel("panel"), p.NewLabel("loop")
	p.Label(panel)
	p.rows("R11")
	p.I("MOVD", p.Arg("x"), "R9")
	p.I("MOVD", p.Arg("k"), "R13")
	p.I("ADD", "R14<<3", "R11", "R11")
	p.I("MOVD", "R11", "R16")
	p.I("VLD1", "(R0)", vectors(30, 2))
	p.Label(loop)
	for line := 0; line < 8*kind.size; line += 64 { // the next panel, in the order in which it lies
		p.I("PRFM", Mem(line, "R16"), "PLDL1KEEP")
	}
	p.I("ADD", Imm(8*kind.size), "R16", "R16")
	kind.scales()
	for part, places := range kind.parts {
		p.dots(kind, part, places)
	}
	if kind.halves { // in their order, which the parts do not have
		for step := range kind.length / 32 {
			for half := range 2 {
				for i, v := range words("F0 F4") {
					p.I("FMOVQ", Mem(panelStep*step+32*half+16*i, "R10"), v)
				}
				p.scaled(kind, placeNEON{step, half}, 0)
			}
		}
	}
	p.nextBlock(kind)
	p.I("ADD", Imm(roundedGroup*kind.length/32), "R9", "R9")
	p.I("SUBS", Imm(kind.length), "R13", "R13")
	p.I("BNE", loop)
	p.I("VST1.P", vectors(30, 2), "32(R0)")
	p.I("SUBS", Imm(1), "R12", "R12")
	p.I("BNE", panel)
	p.I("RET")
}

// dots multiplies a part of all rows: its sums are in V0 and up, in V8 and up, of each row, until they are added across.
func (p *integerNEON) dots(kind kindNEON, part int, places []placeNEON) {
	sums := func(i int) int { // of vector i
		if kind.halves {
			return 8 * i
		}
		return 8 * (i / 2)
	}
	for i, at := range places {
		p.I("FMOVQ", Mem(roundedGroup*at.step+16*at.half, "R9"), fmt.Sprintf("F%d", 16+i))
	}
	for r := range 8 {
		kind.unpack(part, rowNEON(r), 20)
		for i := range places {
			acc := fmt.Sprintf("V%d", sums(i)+r)
			if i == 0 || sums(i) != sums(i-1) {
				p.clearNEON(acc)
			}
			p.Word("sdot 4s 16b", acc, fmt.Sprintf("V%d", 20+i), fmt.Sprintf("V%d", 16+i))
		}
	}
	for i, at := range places {
		if i > 0 && sums(i) == sums(i-1) {
			continue
		}
		v := func(r int) string { return single(sums(i) + r) }
		for apart := 1; apart <= 2; apart *= 2 {
			for r := 0; r < 8; r += 2 * apart {
				p.I("VADDP", v(r+apart), v(r), v(r))
			}
		}
		if kind.zero != 0 {
			zeros := groupZeros
			if kind.halves {
				zeros += 4 + 4*at.half
			}
			p.ofGroup(at.step, zeros, "V24")
			p.Word("saddlp 4s 8h", "V24", "V24")
			for _, r := range []int{0, 4} {
				p.I("VADD", "V24.S4", v(r), v(r))
			}
		}
		if !kind.halves {
			p.scaled(kind, at, sums(i))
			continue
		}
		for upper := range 2 {
			p.I("FMOVQ", fmt.Sprintf("F%d", sums(i)+4*upper), Mem(panelStep*at.step+32*at.half+16*upper, "R10"))
		}
	}
}

// ofGroup is four bytes of a group of the row, in all lanes.
func (p *integerNEON) ofGroup(step, offset int, to string) {
	p.I("ADD", Imm(roundedGroup*step+offset), "R9", "R15")
	p.I("VLD1R", "(R15)", "["+singles(to)+"]")
}

// scaled adds a step's sums, in two registers from one on, times scales.
func (p *integerNEON) scaled(kind kindNEON, at placeNEON, sums int) {
	p.ofGroup(at.step, groupScale, "V24")
	for i := range 2 {
		v := fmt.Sprintf("V%d", sums+4*i)
		p.I("FMOVQ", Mem(panelStep*at.step+panelScales+32*at.half+16*i, "R10"), "F25")
		p.Word("scvtf 4s", v, v)
		p.Word("fmul 4s", v, v, "V25")
		p.I("VFMLA", "V24.S4", singles(v), single(30+i))
	}
	if kind.least {
		p.ofGroup(at.step, groupSum, "V24")
		for i := range 2 {
			p.I("FMOVQ", Mem(panelStep*at.step+panelOthers+16*i, "R10"), "F25")
			p.I("VFMLS", "V24.S4", "V25.S4", single(30+i))
		}
	}
}

// roundGroups writes the rounding of a vector.
func (p *integerNEON) roundGroups() {
	p.Func("roundGroupsNEON", "roundGroupsNEON is roundGroupsGo(…, false) for a positive number of groups.",
		Arg{"to", "unsafe.Pointer"}, Arg{"x", "unsafe.Pointer"}, Arg{"groups", "int"}, Arg{"zero", "int"})
	for i, arg := range words("to x groups zero") {
		p.I("MOVD", p.Arg(arg), words("R0 R1 R2 R3")[i])
	}
	p.I("NEG", "R3", "R3")
	p.I("VDUP", "R3", "V31.H8")
	p.I("MOVD", "$0x42fe0000", "R4") // 127
	p.I("FMOVS", "R4", "F30")
	loop, finite := p.NewLabel("loop"), p.NewLabel("finite")
	p.Label(loop)
	p.I("VLD1.P", "64(R1)", vectors(0, 4))
	p.I("VLD1.P", "64(R1)", vectors(4, 4))
	for i := range 8 {
		p.Word("fabs 4s", fmt.Sprintf("V%d", 16+i), fmt.Sprintf("V%d", i))
	}
	// The largest magnitude by its bits, which order positive numbers, infinity and NaN.
	for apart := 4; apart > 0; apart /= 2 {
		for i := range apart {
			p.I("VUMAX", single(16+i+apart), single(16+i), single(16+i))
		}
	}
	p.Word("umaxv s 4s", "V16", "V16")
	p.I("FDIVS", "F30", "F16", "F17") // the scale
	p.I("FDIVS", "F16", "F30", "F16") // its inverse
	p.I("FMOVS", "F16", "R4")
	p.I("MOVD", "$0x7f800000", "R5")
	p.I("CMPW", "R5", "R4")
	p.I("BNE", finite)
	p.I("FMOVS", "ZR", "F16") // of zeros and denormal numbers, which become 0
	p.Label(finite)
	p.I("VDUP", "V16.S[0]", "V16.S4")
	for i := range 8 {
		v := fmt.Sprintf("V%d", i)
		p.Word("fmul 4s", v, v, "V16")
		p.Word("fcvtns 4s", v, v) // what is no number becomes 0
	}
	for i := range 4 {
		p.I("VUZP1", fmt.Sprintf("V%d.H8", 2*i+1), fmt.Sprintf("V%d.H8", 2*i), fmt.Sprintf("V%d.H8", i))
	}
	for i := range 2 {
		p.I("VUZP1", fmt.Sprintf("V%d.B16", 2*i+1), fmt.Sprintf("V%d.B16", 2*i), fmt.Sprintf("V%d.B16", i))
	}
	p.I("VST1", "[V0.B16, V1.B16]", "(R0)")
	// Sums of the first and of the second pairs of every four.
	p.Word("saddlp 8h 16b", "V0", "V0")
	p.Word("saddlp 8h 16b", "V1", "V1")
	p.I("VUZP1", "V1.H8", "V0.H8", "V2.H8")
	p.I("VUZP2", "V1.H8", "V0.H8", "V3.H8")
	p.I("VADDP", "V3.H8", "V2.H8", "V2.H8")
	p.I("VADDP", "V2.H8", "V2.H8", "V2.H8") // two first ones, of both halves, then two second ones
	p.Word("mul 8h", "V3", "V2", "V31")
	p.I("VUZP1", "V3.H8", "V3.H8", "V4.H8")
	p.I("VUZP2", "V3.H8", "V3.H8", "V5.H8")
	p.I("VADD", "V4.H8", "V5.H8", "V3.H8")
	for i, v := range words("F3 F4 F5") {
		p.I("FMOVS", v, Mem(groupZeros+4*i, "R0"))
	}
	p.I("FMOVS", "F17", Mem(groupScale, "R0"))
	p.I("VADDP", "V2.H8", "V2.H8", "V2.H8")
	p.I("VADDP", "V2.H8", "V2.H8", "V2.H8")
	p.Word("sxtl 4s 4h", "V2", "V2")
	p.Word("scvtf 4s", "V2", "V2")
	p.I("FMULS", "F17", "F2", "F2")
	p.I("FMOVS", "F2", Mem(groupSum, "R0"))
	p.I("ADD", Imm(roundedGroup), "R0", "R0")
	p.I("SUBS", Imm(1), "R2", "R2")
	p.I("BNE", loop)
	p.I("RET")
}
