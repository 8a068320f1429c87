package main

import "fmt"

// multiplier writes the product of two panels and rows, two at a time, by SMMLA or by SDOT, which the last row of an odd
// number has.
func (p *integerNEON) multiplier(kind string, matrices, least, halves bool) {
	name, by := "multiplyNEON"+kind, "SDOT"
	if matrices {
		name, by = "multiplyI8MM"+kind, "SMMLA"
	}
	p.Func(name, name+` multiplies a positive number of rounded rows, apart bytes apart, by two panels of a positive number
of steps, second bytes apart, by `+by+`: c[r][:16] += x[r] * panels, rows of c being ldc bytes apart.`,
		Arg{"c", "unsafe.Pointer"}, Arg{"ldc", "int"}, Arg{"x", "unsafe.Pointer"}, Arg{"apart", "int"},
		Arg{"panel", "unsafe.Pointer"}, Arg{"second", "int"}, Arg{"steps", "int"}, Arg{"rows", "int"})
	for i, arg := range words("c ldc x apart rows") {
		p.I("MOVD", p.Arg(arg), words("R0 R1 R2 R3 R7")[i])
	}
	body := func(rows int) {
		t := tileNEON{File: p.File, rows: rows, matrices: matrices && rows == 2}
		p.I("ADD", "R1", "R0", "R13")
		for v := range rows {
			p.I("VLD1", "("+words("R0 R13")[v]+")", vectors(4*v, 4))
		}
		p.I("MOVD", p.Arg("panel"), "R4")
		p.I("MOVD", p.Arg("second"), "R5")
		p.I("MOVD", p.Arg("steps"), "R6")
		p.I("ADD", "R4", "R5", "R5")
		p.I("MOVD", "R2", "R8")
		p.I("ADD", "R3", "R2", "R9")
		loop := p.NewLabel("loop")
		p.Label(loop)
		p.I("MOVD", "R8", "R11")
		p.I("MOVD", "R9", "R12")
		if halves {
			t.octets(0, 2)
			t.scaled(panelScales)
			t.octets(2, 4)
			t.scaled(panelOthers)
		} else {
			t.octets(0, 4)
			t.scaled(panelScales)
		}
		if least {
			t.leasts()
		}
		for _, r := range words("R8 R9") {
			p.I("ADD", Imm(roundedGroup), r, r)
		}
		for _, r := range words("R4 R5") {
			p.I("ADD", Imm(panelStep), r, r)
		}
		p.I("SUBS", Imm(1), "R6", "R6")
		p.I("BNE", loop)
		for v := range rows {
			p.I("VST1", vectors(4*v, 4), "("+words("R0 R13")[v]+")")
		}
	}
	two, rest, end := p.NewLabel("two"), p.NewLabel("rest"), p.NewLabel("end")
	p.I("SUBS", Imm(2), "R7", "R7")
	p.I("BLT", rest)
	p.Label(two)
	body(2)
	p.I("ADD", "R3<<1", "R2", "R2")
	p.I("ADD", "R1<<1", "R0", "R0")
	p.I("SUBS", Imm(2), "R7", "R7")
	p.I("BGE", two)
	p.Label(rest)
	p.I("ADD", Imm(2), "R7", "R7")
	p.I("CBZ", "R7", end)
	body(1)
	p.Label(end)
	p.I("RET")
}

// A tileNEON is one or two rows times sixteen columns. Their sums are in V0 and up, a step's in V8 and up. The rows' groups
// are at R8 and R9, what is read of them next at R11 and R12, the panels' steps at R4 and R5.
type tileNEON struct {
	*File
	rows     int
	matrices bool // by SMMLA, whose sums are two of a row and two of the other
}

// octets multiplies eights [from, to) of a step's numbers.
func (t tileNEON) octets(from, to int) {
	registers := 8
	if !t.matrices {
		registers = 8 * t.rows
	}
	for i := range registers {
		t.clearNEON(fmt.Sprintf("V%d", 8+i))
	}
	for octet := from; octet < to; octet++ {
		if t.matrices {
			t.I("FMOVD.P", "8(R11)", "F24")
			t.I("VLD1.P", "8(R12)", "V24.D[1]")
		} else {
			for v := range t.rows {
				t.I("VLD1R.P", "8("+words("R11 R12")[v]+")", fmt.Sprintf("[V%d.D2]", 24+v))
			}
		}
		for pair := range 8 {
			b := fmt.Sprintf("V%d", 26+pair%4)
			t.I("FMOVQ", Mem(64*octet+16*(pair%4), words("R4 R5")[pair/4]), scalarOf(b))
			if t.matrices {
				t.Word("smmla 4s 16b", fmt.Sprintf("V%d", 8+pair), "V24", b)
				continue
			}
			for v := range t.rows {
				t.Word("sdot 4s 16b", fmt.Sprintf("V%d", 8+8*v+pair), b, fmt.Sprintf("V%d", 24+v))
			}
		}
	}
	for pair := 0; pair < 8; pair += 2 {
		if t.matrices {
			one, two := fmt.Sprintf("V%d.D2", 8+pair), fmt.Sprintf("V%d.D2", 9+pair)
			t.I("VTRN2", two, one, fmt.Sprintf("V%d.D2", 16+pair))
			t.I("VTRN1", two, one, one)
			continue
		}
		for v := range t.rows {
			one := single(8 + 8*v + pair)
			t.I("VADDP", single(9+8*v+pair), one, one)
		}
	}
}

// scaled adds the sums of octets times scales.
func (t tileNEON) scaled(offset int) {
	for v := range t.rows {
		t.I("ADD", Imm(groupScale), words("R8 R9")[v], "R10")
		t.I("VLD1R", "(R10)", "["+single(24+v)+"]")
	}
	for i := range 4 {
		t.I("FMOVQ", Mem(offset+16*(i%2), words("R4 R5")[i/2]), "F26")
		for v := range t.rows {
			sum := fmt.Sprintf("V%d", 8+8*v+2*i)
			t.Word("scvtf 4s", sum, sum)
			t.Word("fmul 4s", sum, sum, "V26")
			t.I("VFMLA", single(24+v), singles(sum), single(4*v+i))
		}
	}
}

// leasts takes the least numbers times the sums of the rows' groups off.
func (t tileNEON) leasts() {
	for v := range t.rows {
		t.I("ADD", Imm(groupSum), words("R8 R9")[v], "R10")
		t.I("VLD1R", "(R10)", "["+single(24+v)+"]")
	}
	for i := range 4 {
		t.I("FMOVQ", Mem(panelOthers+16*(i%2), words("R4 R5")[i/2]), "F26")
		for v := range t.rows {
			t.I("VFMLS", single(24+v), "V26.S4", single(4*v+i))
		}
	}
}
