package main

import "fmt"

// transposeColumns writes the packer of AVX-512 that makes one line of a panel, of 14 or 16 columns, of as many rows: a line
// is written whole, once, where eight columns at a time would write each of a panel's lines four times, and those of 512
// steps do not stay in the level-1 cache. Each line of the source is read in one piece, too.
func (f *File) transposeColumns(rows int) {
	name := fmt.Sprintf("transposeColumns_%d", rows)
	f.Func(name, fmt.Sprintf(`%s transposes the first k elements of %d rows, ld bytes apart, k a positive multiple of 16:
	for i := range k { for j := range %d { dst[i*step/4+j] = src[j*ld/4+i] } }`, name, rows, rows),
		Arg{"dst", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"})
	f.I("MOVQ", f.Arg("dst"), "DI")
	f.I("MOVQ", f.Arg("step"), "DX")
	f.I("MOVQ", f.Arg("src"), "R8")
	f.I("MOVQ", f.Arg("ld"), "BX")
	f.I("MOVQ", f.Arg("k"), "CX")
	f.I("LEAQ", Idx(0, "BX", "BX", 2), "AX")
	f.I("IMUL3Q", Imm(rows), "BX", "R12")
	fourth := []string{"R8", "R9", "R10", "R11"} // every fourth row
	for i := 1; i < len(fourth); i++ {
		f.I("LEAQ", Idx(0, fourth[i-1], "BX", 4), fourth[i])
	}
	row := func(r int) string {
		switch base := fourth[r/4]; r % 4 {
		case 0:
			return Mem(0, base)
		case 3:
			return Idx(0, base, "AX", 1)
		default:
			return Idx(0, base, "BX", r%4)
		}
	}
	whole := "" // a mask where a line of the panel is not a whole one
	if rows < 16 {
		f.I("MOVQ", Imm(1<<rows-1), "SI")
		f.I("KMOVW", "SI", K(1))
		whole = K(1) // what is in the registers of other rows does not come into their columns
	}
	loop := f.NewLabel("loop")
	f.Label(loop)
	for r := range rows {
		f.I("VMOVUPS", row(r), Z(r))
	}
	for _, p := range fourth { // the same of as many rows behind: where a row begins no hardware knows
		f.I("LEAQ", Idx(0, p, "R12", 1), "R13")
		for _, m := range []string{Mem(0, "R13"), Idx(0, "R13", "BX", 1), Idx(0, "R13", "BX", 2), Idx(0, "R13", "AX", 1)} {
			f.I("PREFETCHT1", m)
		}
		f.I("ADDQ", Imm(64), p)
	}
	f.transpose16(16)
	for c := range 16 {
		if whole == "" {
			f.I("VMOVUPS", Z(c), Mem(0, "DI"))
		} else {
			f.I("VMOVUPS", Z(c), whole, Mem(0, "DI"))
		}
		f.I("ADDQ", "DX", "DI")
	}
	f.I("SUBQ", Imm(16), "CX")
	f.I("JNE", loop)
	f.Return()
}

// transpose16 transposes the words of Z0 to Z15, by way of four registers from free on.
func (f *File) transpose16(free int) {
	for i := 0; i < 16; i += 4 {
		f.transposeQuarters(Z, i, free)
	}
	// Then the quarters: those of columns j of all rows, and of 4+j, 8+j, 12+j.
	for j := range 4 {
		a, b, c, d := Z(j), Z(4+j), Z(8+j), Z(12+j)
		f.I("VSHUFF32X4", Imm(0x88), b, a, Z(free)) // quarters 0 and 2 of a, then of b
		f.I("VSHUFF32X4", Imm(0xdd), b, a, Z(free+1))
		f.I("VSHUFF32X4", Imm(0x88), d, c, Z(free+2))
		f.I("VSHUFF32X4", Imm(0xdd), d, c, Z(free+3))
		f.I("VSHUFF32X4", Imm(0x88), Z(free+2), Z(free), a)
		f.I("VSHUFF32X4", Imm(0x88), Z(free+3), Z(free+1), b)
		f.I("VSHUFF32X4", Imm(0xdd), Z(free+2), Z(free), c)
		f.I("VSHUFF32X4", Imm(0xdd), Z(free+3), Z(free+1), d)
	}
}

// transposeQuarters transposes 4x4 words in each quarter (half of AVX2's) of four registers from i on: of rows i to i+3 register i+j
// has columns j, 4+j, 8+j, 12+j.
func (f *File) transposeQuarters(reg func(int) string, i, free int) {
	for _, half := range []int{0, 2} {
		f.I("VUNPCKLPS", reg(i+half+1), reg(i+half), reg(free+half))
		f.I("VUNPCKHPS", reg(i+half+1), reg(i+half), reg(free+half+1))
	}
	for j := range 2 {
		f.I("VUNPCKLPD", reg(free+2+j), reg(free+j), reg(i+2*j))
		f.I("VUNPCKHPD", reg(free+2+j), reg(free+j), reg(i+2*j+1))
	}
}
