package main

import (
	"fmt"
	"strings"
)

// Micro-kernels for few rows of A and rows of B in blocks, which the packers of integer products have put into panels of bytes: four
// numbers of each of a panel's rows in a register, and scales for every 32. Bytes are widened in registers to the numbers that
// decoders make: those are exact before anything is taken off, so that a fused subtraction rounds as a separate one does.

// byteForms are the layouts: with one scale a step, with least numbers beside it, with two scales.
var byteForms = []struct {
	name          string
	least, halves bool
}{{name: "Scaled"}, {name: "Groups", least: true}, {name: "Halves", halves: true}}

// gemmTurnedBytes writes them, by the rows of A.
func gemmTurnedBytes() *File {
	f := NewFile("../gemm", "turned_bytes")
	for _, s := range []isa{avx2, avx512} {
		for _, form := range byteForms {
			table := []string{"nil"}
			for rows := 1; rows <= turnedRows; rows++ {
				t := byteTile{File: f, isa: s, name: fmt.Sprintf("bytes%s%s_%d", s.name, form.name, rows), rows: rows, panels: 2, least: form.least}
				t.b, t.a = [2]int{0, 1}, [2]int{2, 3}
				if t.acc = 16; !s.masked { // AVX2 has eight registers for sums; those of few rows wait for each other
					t.acc, t.panels = 8, min(2, 8/rows)
				}
				t.write(form.halves)
				table = append(table, t.name)
			}
			name := "bytes" + s.name + form.name
			f.Go(fmt.Sprintf("// %s holds the micro-kernels of such panels, by the rows of A.\nvar %s = []func(*tile){%s}", name, name, strings.Join(table, ", ")))
		}
	}
	return f
}

// A byteTile is a micro-kernel that is being written: of one panel or two.
type byteTile struct {
	*File
	isa
	name         string
	rows, panels int
	least        bool
}

// Its registers: panels at data and scales, those of the second so much further on.
const (
	dataOfBytes, scalesOfBytes, secondOfBytes = "DX", "R12", "R9"
	foursHere                                 = "BX" // fours that have these scales
	wideByte, oneOfA, fourBytes, scaleOfBytes = 0, 2, 3, 5
	zeroBytes                                 = 7
)

// write writes it. Of steps with two scales each half is a part of its own, and the first may be left out.
func (t *byteTile) write(halves bool) {
	columns := t.lanes * t.panels
	t.Func(t.name, fmt.Sprintf(`%s computes %d rows of a tile, %d columns wide, from panels of bytes less tile.zero, tile.bs bytes apart; k is a
positive multiple of 4, and A a panel of turnedRows. The first step is read without its first tile.skip times four numbers.`, t.name, t.rows, columns), Arg{"t", "*tile"})
	size := t.lanes / avx2.lanes // of a panel, in those of eight rows
	step, scales, others := size*panelStep, size*panelScales, size*(panelOthers-panelScales)
	t.I("MOVQ", t.Arg("t"), rTile)
	t.I("MOVQ", Field("tile", "a", rTile), rA)
	t.I("MOVQ", Field("tile", "b", rTile), dataOfBytes)
	t.I("MOVQ", Field("tile", "bs", rTile), secondOfBytes)
	t.I("MOVQ", Field("tile", "k", rTile), rCount)
	t.I("MOVQ", Field("tile", "skip", rTile), "R10")
	t.I("VPBROADCASTB", Field("tile", "zero", rTile), t.reg(zeroBytes))
	acc := t.zero(t.isa, t.rows, t.panels)
	t.I("SHRQ", Imm(2), rCount)
	t.I("LEAQ", Mem(scales, dataOfBytes), scalesOfBytes)
	fours := 8
	if halves {
		fours = 4
	}
	t.I("MOVQ", Imm(fours), foursHere)
	first, second, store := t.NewLabel("first"), t.NewLabel("second"), t.NewLabel("store")
	t.I("SUBQ", "R10", foursHere)
	t.I("SHLQ", Imm(4+size), "R10")
	t.I("ADDQ", "R10", dataOfBytes)
	if halves {
		later := t.NewLabel("first")
		t.I("TESTQ", foursHere, foursHere)
		t.I("JGT", later)
		t.I("ADDQ", Imm(fours), foursHere)
		t.I("ADDQ", Imm(others), scalesOfBytes)
		t.I("JMP", second)
		t.Label(later)
	}
	t.Label(first)
	t.part(acc, others)
	if halves {
		t.I("ADDQ", Imm(others), scalesOfBytes)
		t.I("MOVQ", Imm(fours), foursHere)
		t.I("TESTQ", rCount, rCount)
		t.I("JEQ", store)
		t.Label(second)
		t.part(acc, others)
		t.I("SUBQ", Imm(others), scalesOfBytes)
	}
	t.I("ADDQ", Imm(step-scales), dataOfBytes)
	t.I("ADDQ", Imm(step), scalesOfBytes)
	t.I("MOVQ", Imm(fours), foursHere)
	t.I("TESTQ", rCount, rCount)
	t.I("JNE", first)
	if halves {
		t.Label(store)
	}
	t.finish(t.isa, t.rows, t.panels, acc)
}

// panel is an operand in the v-th panel.
func (t *byteTile) panel(offset int, base string, v int) string {
	return further(offset, base, secondOfBytes, v)
}

// part multiplies fours that have the same scales, as many as there are.
func (t *byteTile) part(acc func(i, v int) string, others int) {
	t.I("CMPQ", rCount, foursHere)
	t.I("CMOVQLT", rCount, foursHere)
	t.I("SUBQ", foursHere, rCount)
	move := "VMOVDQU"
	if t.masked {
		move = "VMOVDQU32"
	}
	for v := range t.panels {
		t.I("VMOVUPS", t.panel(0, scalesOfBytes, v), t.reg(scaleOfBytes+v))
	}
	loop := t.NewLabel("four")
	t.I("PCALIGN", Imm(32)) // before the outer loop it keeps Go 1.26's assembler busy without end
	t.Label(loop)
	for v := range t.panels {
		t.I(move, t.panel(0, dataOfBytes, v), t.reg(fourBytes+v))
		t.I("VPSUBB", t.reg(zeroBytes), t.reg(fourBytes+v), t.reg(fourBytes+v))
	}
	for b := range 4 {
		for v := range t.panels {
			from, wide := t.reg(fourBytes+v), t.reg(wideByte+v)
			if b < 3 {
				t.I("VPSLLD", Imm(24-8*b), from, wide)
				from = wide
			}
			t.I("VPSRAD", Imm(24), from, wide)
			t.I("VCVTDQ2PS", wide, wide)
			if t.least {
				t.I("VFMSUB213PS", t.panel(others, scalesOfBytes, v), t.reg(scaleOfBytes+v), wide)
			} else {
				t.I("VMULPS", t.reg(scaleOfBytes+v), wide, wide)
			}
		}
		for i := range t.rows {
			a := Mem(4*(b*turnedRows+i), rA)
			if !t.masked {
				t.I("VBROADCASTSS", a, t.reg(oneOfA))
			}
			for v := range t.panels {
				if t.masked {
					t.I("VFMADD231PS.BCST", a, t.reg(wideByte+v), acc(i, v))
				} else {
					t.I("VFMADD231PS", t.reg(oneOfA), t.reg(wideByte+v), acc(i, v))
				}
			}
		}
	}
	t.I("ADDQ", Imm(4*t.lanes), dataOfBytes)
	t.I("ADDQ", Imm(16*turnedRows), rA)
	t.I("DECQ", foursHere)
	t.I("JNE", loop)
}
