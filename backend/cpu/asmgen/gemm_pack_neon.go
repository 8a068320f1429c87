package main

import "fmt"

// packRowsNEON copies rows of the source, width elements of each to one panel, in packRows' order.
func (f *File) packRowsNEON(s store, width int) {
	name := fmt.Sprintf("packRowsNEON%s_%d", s.name, width)
	f.Func(name, fmt.Sprintf(`%s copies k rows, ld bytes apart, into panels of %d columns, size bytes apart:
	for i := range k { for p := range panels { copy(dst[p*size+i*%d*4:], widen(src[i*ld:][p*%d:][:%d])) } }`, name,
		width, width, width, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"panels", "int"}, Arg{"size", "int"})
	f.clearNEON(neonZero)
	for i, arg := range words("dst src ld k size") {
		f.I("MOVD", f.Arg(arg), words("R0 R1 R2 R3 R4")[i])
	}
	loop, panels, done := f.NewLabel("rows"), f.NewLabel("panels"), f.NewLabel("done")
	f.I("CBZ", "R3", done)
	f.Label(loop)
	f.I("MOVD", f.Arg("panels"), "R5")
	f.I("MOVD", "R0", "R6")
	f.I("MOVD", "R1", "R7")
	f.Label(panels)
	f.I("ADD", "R2<<3", "R7", "R8") // as in packRowsLoop
	f.I("PRFM", "(R8)", "PLDL1KEEP")
	if width == 6 { // 4 + 2
		f.I("FMOVQ", "(R7)", "F0")
		f.I("FMOVD", "16(R7)", "F1")
		f.I("FMOVQ", "F0", "(R6)")
		f.I("FMOVD", "F1", "16(R6)")
		f.I("ADD", Imm(width*s.bytes), "R7", "R7")
	} else {
		f.loadNEON(s, "R7", 0, width/4)
		f.I("VST1", vectors(0, width/4), "(R6)")
	}
	f.I("ADD", "R4", "R6", "R6")
	f.I("SUBS", Imm(1), "R5", "R5")
	f.I("BNE", panels)
	f.I("ADD", "R2", "R1", "R1")
	f.I("ADD", Imm(4*width), "R0", "R0")
	f.I("SUBS", Imm(1), "R3", "R3")
	f.I("BNE", loop)
	f.Label(done)
	f.I("RET")
}

// packColsNEON transposes rows into columns of a panel, four by four. Of 8 columns only the first width are written.
func (f *File) packColsNEON(s store, width int) {
	name := "packColsNEON" + s.name
	if width < 8 {
		name = fmt.Sprintf("packCols%dNEON%s", width, s.name)
	}
	f.Func(name, fmt.Sprintf(`%s transposes the first k elements of 8 rows, k a positive multiple of 4:
	for i := range k { for j := range %d { dst[i*step/4+j] = widen(rows[j][i]) } }`, name, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"rows", "*[8]unsafe.Pointer"}, Arg{"k", "int"})
	f.clearNEON(neonZero)
	f.I("MOVD", f.Arg("rows"), "R11")
	for row := range 8 {
		f.I("MOVD", Mem(8*row, "R11"), fmt.Sprintf("R%d", 1+row))
	}
	f.I("MOVD", f.Arg("dst"), "R0")
	f.I("MOVD", f.Arg("step"), "R9")
	f.I("MOVD", f.Arg("k"), "R10")
	loop := f.NewLabel("loop")
	f.Label(loop)
	for half := range 2 { // V0 to V3 become V16 to V19, V4 to V7 V20 to V23
		for i := range 4 {
			f.loadNEON(s, fmt.Sprintf("R%d", 1+4*half+i), 4*half+i, 1)
		}
		v := func(i int) string { return fmt.Sprintf("V%d", 4*half+i) }
		for pair := range 2 { // columns 0 and 1, then 2 and 3, of two rows
			for odd := range 2 {
				f.I(fmt.Sprintf("VTRN%d", 1+odd), v(2*pair+1)+".S4", v(2*pair)+".S4", fmt.Sprintf("V%d.S4", 24+2*pair+odd))
			}
		}
		for odd := range 2 {
			for upper := range 2 {
				f.I(fmt.Sprintf("VTRN%d", 1+upper), fmt.Sprintf("V%d.D2", 26+odd), fmt.Sprintf("V%d.D2", 24+odd),
					fmt.Sprintf("V%d.D2", 16+4*half+odd+2*upper))
			}
		}
	}
	store := map[int]string{6: "FMOVD", 8: "FMOVQ"}[width]
	for i := range 4 {
		f.I("FMOVQ", fmt.Sprintf("F%d", 16+i), "(R0)")
		f.I(store, fmt.Sprintf("F%d", 20+i), "16(R0)")
		f.I("ADD", "R9", "R0", "R0")
	}
	f.I("SUBS", Imm(4), "R10", "R10")
	f.I("BNE", loop)
	f.I("RET")
}
