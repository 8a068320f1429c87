package main

import "fmt"

// One vector's products: a block of eight rows is multiplied as soon as it is in the order of panels, Y14 having the sums.
// What is in registers needs no panel but for the scales of large blocks.

// A singleKind is the code that multiplies a block of eight rows with one vector. Where there is code that loads a block, that
// multiplies the one loaded and loads the next.
type singleKind struct{ one, load func() }

// single writes the product of one rounded row and panels, of which it holds a block.
func (p *integerPanels) single(kind panelKind, code singleKind) {
	name := "panels" + kind.name
	p.Func(name, fmt.Sprintf(`%s multiplies one rounded row by a positive number of times eight rows of blocks, ld bytes apart; k is a positive
multiple of %d, and panel has room for %d steps: c[:8*panels] += x * panels.`, name, kind.length, kind.length/32),
		Arg{"c", "unsafe.Pointer"}, Arg{"x", "unsafe.Pointer"}, Arg{"panel", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"},
		Arg{"ld", "int"}, Arg{"k", "int"}, Arg{"panels", "int"})
	p.I("MOVQ", p.Arg("c"), "R14")
	p.I("MOVQ", p.Arg("panel"), "DX")
	p.I("MOVQ", p.Arg("b"), "R13")
	p.I("MOVQ", p.Arg("panels"), "R12")
	p.I("VMOVDQU", p.bits("ones16", 0x00010001), "Y15")
	p.rows()
	p.I("VMOVDQU", p.bits("nibbles", masks["nibbles"]), "Y12")
	p.held, p.scale = map[string]string{"nibbles": "Y12"}, p.storeScales
	if code.load != nil {
		p.I("MOVQ", "R13", "SI")
		code.load()
	}
	panel, loop := p.NewLabel("panel"), p.NewLabel("loop")
	p.Label(panel)
	p.I("MOVQ", "R13", "SI")
	p.I("LEAQ", Idx(0, "R13", "R8", 8), "R13")
	p.I("MOVQ", "R13", "AX")
	p.I("MOVQ", p.Arg("x"), "DI")
	p.I("MOVQ", p.Arg("k"), "CX")
	p.I("VMOVUPS", Mem(0, "R14"), "Y14")
	p.I("PCALIGN", Imm(32))
	p.Label(loop)
	for line := 0; line < 8*kind.size; line += 64 { // the next panel, in the order in which it lies
		p.I("PREFETCHT0", Mem(line, "AX"))
	}
	p.I("ADDQ", Imm(8*kind.size), "AX")
	if code.load == nil {
		code.one()
		p.I("ADDQ", Imm(kind.size), "SI")
	} else { // behind the last block of a panel the next one's first, behind the very last that one again
		same, next := p.NewLabel("same"), p.NewLabel("next")
		p.I("CMPQ", "CX", Imm(kind.length))
		p.I("JNE", next)
		p.I("CMPQ", "R12", Imm(1))
		p.I("JE", same)
		p.I("LEAQ", Mem(-kind.size, "R13"), "SI")
		p.Label(next)
		p.I("ADDQ", Imm(kind.size), "SI")
		p.Label(same)
		code.one()
	}
	p.I("ADDQ", Imm(roundedGroup*kind.length/32), "DI")
	p.I("SUBQ", Imm(kind.length), "CX")
	p.I("JNZ", loop)
	p.I("VMOVUPS", "Y14", Mem(0, "R14"))
	p.I("ADDQ", Imm(32), "R14")
	p.I("DECQ", "R12")
	p.I("JNZ", panel)
	p.Return()
	p.held = nil
}

// ofOne has steps add to the only sum of one vector.
func (p *integerPanels) ofOne(steps func()) {
	p.sums, p.at = 14, 0
	steps()
	p.sums, p.at = 0, 0
}

// addWords adds four bytes without a sign of each row times the vector's at offset, in 16 bits.
func (p *integerPanels) addWords(bytes string, offset int, sum string) {
	p.I("VPBROADCASTD", p.row(0, offset), "Y10")
	p.I("VPMADDUBSW", "Y10", bytes, bytes)
	p.I("VPADDW", bytes, sum, sum)
}

// scaledBy adds the step's sums times scales, an operand, and the vector's.
func (p *integerPanels) scaledBy(step, scales string) {
	p.I("VCVTDQ2PS", step, step)
	p.I("VMULPS", scales, step, step)
	p.I("VBROADCASTSS", p.row(0, groupScale), "Y10")
	p.I("VFMADD231PS", "Y10", step, p.sum(0, 0))
}

// loadQ4 loads a block to Y0 to Y3, and its scales to Y13.
func (p *integerPanels) loadQ4() {
	p.fours(2)
	p.halfScales(0, false, "Y13")
}

// singleQ4 loads the next block between its products: of what waits for memory and for each other the processor
// looks only one block ahead.
func (p *integerPanels) singleQ4() {
	p.ofOne(func() {
		p.I("VPBROADCASTD", p.row(0, groupZeros), "Y8")
		p.I("VPXOR", "Y9", "Y9", "Y9")
		for i := range 4 {
			p.nibbles(i)
			p.addWords("Y4", 4*i, "Y8")
			p.addWords("Y5", 16+4*i, "Y9")
			p.twoRows(i, 2)
		}
		p.I("VPADDW", "Y9", "Y8", "Y8")
		p.I("VPMADDWD", "Y15", "Y8", "Y8")
		p.scaledBy("Y8", "Y13")
		p.transposeFours(Y)
		p.halfScales(0, false, "Y13")
	})
}

func (p *integerPanels) singleQ8() {
	p.ofOne(func() {
		p.I("VPXOR", "Y8", "Y8", "Y8")
		for half := range 2 {
			p.fours(2 + 16*half)
			for i := range 4 {
				p.I("VPABSB", Y(i), "Y4")
				p.I("VPBROADCASTD", p.row(0, 16*half+4*i), "Y10")
				p.I("VPSIGNB", Y(i), "Y10", "Y10")
				p.I("VPMADDUBSW", "Y10", "Y4", "Y4")
				p.I("VPMADDWD", "Y15", "Y4", "Y4")
				p.I("VPADDD", "Y4", "Y8", "Y8")
			}
		}
		p.halfScales(0, false, "Y9")
		p.scaledBy("Y8", "Y9")
	})
}

func (p *integerPanels) singleQ4K() {
	p.sixBitScales(0)
	p.ofOne(func() {
		for pair := range 4 {
			for i := range 2 {
				p.I("VPXOR", Y(8+i), Y(8+i), Y(8+i))
			}
			for half := range 2 {
				p.fours(16 + 32*pair + 16*half)
				for i := range 4 {
					p.nibbles(i)
					p.at = 2 * pair
					p.addWords("Y4", 16*half+4*i, "Y8")
					p.at++
					p.addWords("Y5", 16*half+4*i, "Y9")
				}
			}
			for i := range 2 {
				p.at = 2*pair + i
				p.I("VPMADDWD", "Y15", Y(8+i), Y(8+i))
				p.scaledLess(Y(8 + i))
			}
		}
	})
}

// scaledLess is scaledBy with the panel's scales, and takes the least numbers off.
func (p *integerPanels) scaledLess(step string) {
	p.scaledBy(step, p.panel(0, panelScales))
	p.I("VBROADCASTSS", p.row(0, groupSum), "Y10")
	p.I("VFNMADD231PS", p.panel(0, panelOthers), "Y10", p.sum(0, 0))
}

// singleQ5K has the sums of steps' first halves, and then those of whole steps, in the panel.
func (p *integerPanels) singleQ5K() {
	p.sixBitScales(16)
	p.ofOne(func() {
		sums := []string{"Y7", "Y13"}
		for half := range 2 {
			p.fours(16 + 16*half)
			p.aside() // fifth bits of eight groups
			for pair := range 4 {
				p.fours(48 + 32*pair + 16*half)
				for j, sum := range sums {
					if p.at = 2*pair + j; half == 0 {
						p.I("VPBROADCASTD", p.row(0, groupZeros), sum)
					} else {
						p.I("VMOVDQU", p.panel(0, 0), sum)
					}
				}
				for i := range 4 {
					p.nibbles(i)
					for j, sum := range sums {
						p.at = 2*pair + j
						p.joined("fifthBits", Y(8+i), 4-p.at, Y(4+j))
						p.addJoined(Y(4+j), 16*half+4*i, sum)
					}
				}
				for j, sum := range sums {
					p.at = 2*pair + j
					p.I("VMOVDQU", sum, p.panel(0, 0))
				}
			}
		}
		for p.at = range 8 {
			p.I("VPMADDWD", p.panel(0, 0), "Y15", "Y4")
			p.scaledLess("Y4")
		}
	})
}

// addJoined is addWords by Y6, which is free where Y10 is not.
func (p *integerPanels) addJoined(bytes string, offset int, sum string) {
	p.I("VPBROADCASTD", p.row(0, offset), "Y6")
	p.I("VPMADDUBSW", "Y6", bytes, bytes)
	p.I("VPADDW", bytes, sum, sum)
}

// singleQ6K has sums of 16 numbers in the panel until all of a block are there: they are scaled in the order in which
// panels are.
func (p *integerPanels) singleQ6K() {
	p.signedScales()
	p.ofOne(func() {
		sums := []string{"Y7", "Y13"}
		for block := range 2 { // of 128 numbers: 64 bytes of lower bits, 32 of upper ones
			for half := range 2 {
				p.fours(128 + 32*block + 16*half)
				p.aside()
				for quarter := range 2 {
					p.fours(64*block + 32*quarter + 16*half)
					for j, sum := range sums {
						p.at = 4*block + quarter + 2*j
						p.I("VPBROADCASTD", p.row(0, groupZeros+4+4*half), sum)
					}
					for i := range 4 {
						p.nibbles(i)
						for j, sum := range sums {
							p.joined("upperTwoBits", Y(8+i), 4-2*(quarter+2*j), Y(4+j))
							p.at = 4*block + quarter + 2*j
							p.addJoined(Y(4+j), 16*half+4*i, sum)
						}
					}
					for j, sum := range sums {
						p.at = 4*block + quarter + 2*j
						p.I("VPMADDWD", "Y15", sum, sum)
						p.I("VMOVDQU", sum, p.panel(0, 32*half))
					}
				}
			}
		}
		for p.at = range 8 {
			for half, scales := range []int{panelScales, panelOthers} {
				p.I("VMOVDQU", p.panel(0, 32*half), "Y4")
				p.scaledBy("Y4", p.panel(0, scales))
			}
		}
	})
}
