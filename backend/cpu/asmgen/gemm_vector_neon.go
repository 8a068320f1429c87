package main

import (
	"fmt"
	"strings"
)

// neonZero is the register of zeros that loadNEON needs.
const neonZero = "V31"

func (f *File) clearNEON(v string) { f.I("VEOR", all16(v), all16(v), all16(v)) }

// loadNEON widens so many vectors of a store, at most four, from a register with an address on, which goes on. V28 and
// up are its own.
func (f *File) loadNEON(s store, base string, first, n int) {
	if s.name == "F32" {
		f.I("VLD1.P", fmt.Sprintf("%d(%s)", 16*n, base), vectors(first, n))
		return
	}
	lists := []string{"", "[V28.H4]", "[V28.H8]", "", "[V28.H8, V29.H8]"}
	f.I("VLD1.P", fmt.Sprintf("%d(%s)", 8*n, base), lists[n])
	for i := range n {
		from, to := fmt.Sprintf("V%d", 28+i/2), fmt.Sprintf("V%d", first+i)
		switch {
		case s.name == "BF16": // the upper halves of words whose lower halves are zeros
			f.I(fmt.Sprintf("VZIP%d", 1+i%2), from+".H8", neonZero+".H8", to+".H8")
		case i%2 == 0:
			f.Word("fcvtl 4s 4h", to, from)
		default:
			f.Word("fcvtl2 4s 8h", to, from)
		}
	}
}

// dotsNEON writes the product of some rows and a vector.
func (f *File) dotsNEON(s store) {
	name := "dotsNEON" + s.name
	f.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows, ld bytes apart, with a vector; k is a positive multiple of 8:
	for i := range rows { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, name),
		Arg{"sum", "*float32"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"rows", "int"})
	f.clearNEON(neonZero)
	step := func(n int) func() {
		return func() {
			f.loadNEON(s, "R1", 20, n)
			f.I("VLD1.P", fmt.Sprintf("%d(R0)", 16*n), vectors(16, n))
			for v := range n {
				f.I("VFMLA", single(16+v), single(20+v), single(v))
			}
		}
	}
	f.rowsNEON(16, step(4), step(2))
}

// blockDotsNEON writes the same of rows of blocks, one a kind: the block's numbers go from the registers in which they
// are widened into sums. The sum has the bits of that over the widened row.
func blockDotsNEON(f *File) {
	v := &vec{File: f, constants: map[string]bool{}}
	m := machineNEON{v}
	v.machine = m
	b := blocksNEON{m, func(q string, number int) {
		m.I("FMOVQ", Mem(4*number, "R0"), "F23")
		m.I("VFMLA", singles(q), "V23.S4", single(number/4%4))
	}}
	var table []string
	b.kinds(func(name string, length, size int, block func()) {
		full := "dotsNEON" + name
		m.Func(full, fmt.Sprintf(`%s multiplies a positive number of rows of blocks, ld bytes apart, with a vector; k is a positive
multiple of %d:
	for i := range rows { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, full, length),
			Arg{"sum", "*float32"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
			Arg{"k", "int"}, Arg{"rows", "int"})
		b.loadConstants(block)
		f.rowsNEON(length, func() {
			block()
			m.I("ADD", Imm(size), "R1", "R1")
			m.I("ADD", Imm(4*length), "R0", "R0")
		}, nil)
		table = append(table, fmt.Sprintf("quant.%s: %s,", name, full))
	})
	m.Go("// blockDots are by kind.\nvar blockDots = [quant.Types]func(sum *float32, x, b unsafe.Pointer, ld, k, rows int){\n" +
		strings.Join(table, "\n") + "\n}")
	m.define()
}

// rowsNEON writes the loops over rows and their elements, of which step adds some to sums in V0 to V3: the vector's are
// at R0, the row's at R1. Both go on. half, if it is not nil, adds half as many once, where those are left. R10 and up are the
// loops'.
func (f *File) rowsNEON(elements int, step, half func()) {
	for i, arg := range words("sum b ld rows") {
		f.I("MOVD", f.Arg(arg), words("R10 R11 R12 R13")[i])
	}
	row, loop := f.NewLabel("row"), f.NewLabel("loop")
	f.Label(row)
	f.I("MOVD", f.Arg("x"), "R0")
	f.I("MOVD", "R11", "R1")
	f.I("MOVD", f.Arg("k"), "R14")
	for v := range 4 {
		f.clearNEON(fmt.Sprintf("V%d", v))
	}
	if half == nil {
		f.Label(loop)
		step()
		f.I("SUBS", Imm(elements), "R14", "R14")
		f.I("BNE", loop)
	} else {
		rest, end := f.NewLabel("rest"), f.NewLabel("end")
		f.I("SUBS", Imm(elements), "R14", "R14")
		f.I("BLT", rest)
		f.Label(loop)
		step()
		f.I("SUBS", Imm(elements), "R14", "R14")
		f.I("BGE", loop)
		f.Label(rest)
		f.I("ADDS", Imm(elements), "R14", "R14")
		f.I("BEQ", end)
		half()
		f.Label(end)
	}
	for _, add := range words("V1V0 V3V2 V2V0") {
		to := add[2:]
		f.Word("fadd 4s", to, to, add[:2])
	}
	f.Word("faddp 4s", "V0", "V0", "V0")
	f.Word("faddp 4s", "V0", "V0", "V0")
	f.I("FMOVS", "(R10)", "F1")
	f.I("FADDS", "F1", "F0", "F0")
	f.I("FMOVS", "F0", "(R10)")
	f.I("ADD", Imm(4), "R10", "R10")
	f.I("ADD", "R12", "R11", "R11")
	f.I("SUBS", Imm(1), "R13", "R13")
	f.I("BNE", row)
	f.I("RET")
}

// axpysNEON adds multiples of rows to a vector.
func (f *File) axpysNEON(s store, rows int) {
	name := fmt.Sprintf("axpysNEON%s_%d", s.name, rows)
	f.Func(name, fmt.Sprintf(`%s adds multiples of %d rows, ld bytes apart, to a vector; n is a positive multiple of 8:
	for i := range %d { for j := range n { y[j] += x[i] * widen(b[i*ld:][j]) } }`, name, rows, rows),
		Arg{"y", "unsafe.Pointer"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"n", "int"})
	f.clearNEON(neonZero)
	for i, arg := range words("y x b ld n") {
		f.I("MOVD", f.Arg(arg), words("R0 R6 R1 R5 R7")[i])
	}
	for i := range rows {
		f.I("VLD1R.P", "4(R6)", "["+single(24+i)+"]")
		if i > 0 {
			f.I("ADD", "R5", fmt.Sprintf("R%d", i), fmt.Sprintf("R%d", 1+i))
		}
	}
	loop := f.NewLabel("loop")
	f.Label(loop)
	f.I("VLD1", "(R0)", vectors(0, 2))
	for i := range rows {
		f.loadNEON(s, fmt.Sprintf("R%d", 1+i), 16+2*i, 2)
	}
	for i := range rows {
		for v := range 2 {
			f.I("VFMLA", single(16+2*i+v), single(24+i), single(v))
		}
	}
	f.I("VST1.P", vectors(0, 2), "32(R0)")
	f.I("SUBS", Imm(8), "R7", "R7")
	f.I("BNE", loop)
	f.I("RET")
}
