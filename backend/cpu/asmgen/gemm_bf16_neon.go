package main

import (
	"fmt"
	"strings"
)

// gemmBF16NEON writes the products of bfloat16 of arm64. BFMMLA multiplies two rows of A by two columns of B, of each four
// numbers along k, so that panels have fours of a row or column together, those of the next behind them.
func gemmBF16NEON() *File {
	f := newFileFor("arm64", "../gemm", "neon_bf16")
	for _, vecs := range []int{2, 4} {
		table := []string{"nil"}
		for rows := 1; rows <= neonRows; rows++ {
			name := fmt.Sprintf("tileNEONBF16_%dx%d", rows, vecs*neonLanes)
			table = append(table, name)
			f.tileBF16NEON(name, rows, vecs)
		}
		f.Go(fmt.Sprintf("// tilesNEONBF16_%d holds the micro-kernels of that panel width by their number of rows.\n"+
			"var tilesNEONBF16_%d = []func(t *tile){%s}", vecs*neonLanes, vecs*neonLanes, strings.Join(table, ", ")))
	}
	for _, width := range []int{6, 8, 16} {
		f.packFourRowsNEON(width)
	}
	for _, width := range []int{6, 8} {
		f.packFourColsNEON(width)
	}
	f.roundRowNEON()
	return f
}

// tileBF16NEON is tileNEON for pairs of bfloat16, two steps of k at a time. Each sum's register has two columns of a row
// and of the next; the rows' own are made of them in the end.
func (f *File) tileBF16NEON(name string, rows, vecs int) {
	f.Func(name, fmt.Sprintf("%s computes %d whole rows of a tile of pairs, %d columns wide, k a positive multiple of 2; see tile.",
		name, rows, vecs*neonLanes), Arg{"t", "*tile"})
	f.tileArguments(rows)
	f.I("LSL", Imm(1), "R8", "R8")
	f.I("LSL", Imm(1), "R9", "R9")
	f.I("LSR", Imm(1), "R10", "R10")
	sum := func(pair, columns int) string { return fmt.Sprintf("V%d", 2*vecs*pair+columns) }
	pairs := (rows + 1) / 2
	for v := range 2 * vecs * pairs {
		f.clearNEON(fmt.Sprintf("V%d", v))
	}
	loop := f.NewLabel("loop")
	f.Label(loop)
	for pair := range pairs {
		row := 2 + 2*pair
		f.I("FMOVD", fmt.Sprintf("(R%d)", row), fmt.Sprintf("F%d", 28+pair))
		f.I("ADD", "R8", fmt.Sprintf("R%d", row), fmt.Sprintf("R%d", row))
		if 2*pair+1 < rows {
			f.I("VLD1.P", fmt.Sprintf("(R%d)(R8)", row+1), fmt.Sprintf("V%d.D[1]", 28+pair))
		}
	}
	for columns := range 2 * vecs {
		b := fmt.Sprintf("V%d", 24+columns%4)
		f.I("FMOVQ", Mem(16*columns, "R1"), scalarOf(b))
		for pair := range pairs {
			f.Word("bfmmla 4s 8h", sum(pair, columns), fmt.Sprintf("V%d", 28+pair), b)
		}
	}
	f.I("ADD", "R9", "R1", "R1")
	f.I("SUBS", Imm(1), "R10", "R10")
	f.I("BNE", loop)

	for pair := range pairs {
		for columns := 0; columns < 2*vecs; columns += 2 {
			one, two := doubles(sum(pair, columns)), doubles(sum(pair, columns+1))
			f.I("VTRN2", two, one, "V24.D2")
			f.I("VTRN1", two, one, one)
			f.I("VMOV", "V24.B16", all16(sum(pair, columns+1)))
		}
	}
	f.storeTileNEON(rows, vecs, func(row, v int) string { return sum(row/2, 2*v+row%2) })
}

// packFourRowsNEON writes a packer of columns, of which so many are in a panel.
func (f *File) packFourRowsNEON(width int) {
	name := fmt.Sprintf("packFoursNEON_%d", width)
	f.Func(name, fmt.Sprintf(`%s packs k pairs of rows of bfloat16, ld bytes from pair to pair, into panels of %d columns, size bytes
apart; k is even:
	for i := range k/2 { for p := range panels { for j := range %d { for l := range 4 {
		dst[p*size+8*(i*%d+j)+2*l:] = src[(4*i+l)*ld/2+2*(p*%d+j):][:2]
	} } } }`, name, width, width, width, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"panels", "int"}, Arg{"size", "int"})
	for i, arg := range words("dst src ld k size") {
		f.I("MOVD", f.Arg(arg), words("R0 R1 R2 R3 R4")[i])
	}
	f.I("LSR", Imm(1), "R2", "R9")
	loop, panels, done := f.NewLabel("rows"), f.NewLabel("panels"), f.NewLabel("done")
	f.I("CBZ", "R3", done)
	f.Label(loop)
	f.I("MOVD", f.Arg("panels"), "R5")
	f.I("MOVD", "R0", "R6")
	f.I("MOVD", "R1", "R10")
	for i := range 3 {
		f.I("ADD", "R9", fmt.Sprintf("R%d", 10+i), fmt.Sprintf("R%d", 11+i))
	}
	f.Label(panels)
	for from := 0; from < width; from += 8 {
		columns := min(8, width-from)
		for row := range 4 {
			at := fmt.Sprintf("R%d", 10+row)
			if columns == 8 {
				f.I("VLD1.P", "16("+at+")", fmt.Sprintf("[V%d.H8]", row))
				continue
			}
			f.I("FMOVD.P", "8("+at+")", fmt.Sprintf("F%d", row)) // 4 + 2
			f.I("VLD1.P", "4("+at+")", fmt.Sprintf("V%d.S[2]", row))
		}
		for pair := range 2 { // of rows: columns [0, 4) to V4 and V5, the others to V6 and V7
			for upper := range 2 {
				f.I(fmt.Sprintf("VZIP%d", 1+upper), fmt.Sprintf("V%d.H8", 2*pair+1), fmt.Sprintf("V%d.H8", 2*pair),
					fmt.Sprintf("V%d.H8", 4+pair+2*upper))
			}
		}
		for two := range columns / 2 {
			first := 4 + two/2*2
			f.I(fmt.Sprintf("VZIP%d", 1+two%2), single(first+1), single(first), single(16+two))
			f.I("FMOVQ", fmt.Sprintf("F%d", 16+two), Mem(8*from+16*two, "R6"))
		}
	}
	f.I("ADD", "R4", "R6", "R6")
	f.I("SUBS", Imm(1), "R5", "R5")
	f.I("BNE", panels)
	f.I("ADD", "R2<<1", "R1", "R1")
	f.I("ADD", Imm(8*width), "R0", "R0")
	f.I("SUBS", Imm(2), "R3", "R3")
	f.I("BNE", loop)
	f.Label(done)
	f.I("RET")
}

// packFourColsNEON writes a packer of rows. Of 8 only the first width are written.
func (f *File) packFourColsNEON(width int) {
	name := fmt.Sprintf("packFourCols%dNEON", width)
	f.Func(name, fmt.Sprintf(`%s packs the first k pairs of bfloat16 of 8 rows, k a positive multiple of 4, into a panel of step bytes a pair:
	for i := range k/2 { for j := range %d { copy(dst[2*i*step+8*j:], rows[j][8*i:][:8]) } }`, name, width),
		Arg{"dst", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"rows", "*[8]unsafe.Pointer"}, Arg{"k", "int"})
	f.I("MOVD", f.Arg("rows"), "R11")
	for row := range width {
		f.I("MOVD", Mem(8*row, "R11"), fmt.Sprintf("R%d", 1+row))
	}
	f.I("MOVD", f.Arg("dst"), "R0")
	f.I("MOVD", f.Arg("step"), "R9")
	f.I("MOVD", f.Arg("k"), "R10")
	loop := f.NewLabel("loop")
	f.Label(loop)
	f.I("ADD", "R9<<1", "R0", "R12")
	for row := range width {
		f.I("VLD1.P", fmt.Sprintf("16(R%d)", 1+row), fmt.Sprintf("[V%d.D2]", row))
	}
	for row := 0; row < width; row += 2 {
		for upper, to := range words("R0 R12") {
			f.I(fmt.Sprintf("VTRN%d", 1+upper), fmt.Sprintf("V%d.D2", row+1), fmt.Sprintf("V%d.D2", row), fmt.Sprintf("V%d.D2", 16+upper))
			f.I("FMOVQ", fmt.Sprintf("F%d", 16+upper), Mem(8*row, to))
		}
	}
	f.I("ADD", "R9<<2", "R0", "R0")
	f.I("SUBS", Imm(4), "R10", "R10")
	f.I("BNE", loop)
	f.I("RET")
}

// roundRowNEON writes the rounding of float32.
func (f *File) roundRowNEON() {
	f.Func("roundRowNEON", "roundRowNEON is roundRowGo for n a positive multiple of 8.",
		Arg{"dst", "unsafe.Pointer"}, Arg{"src", "unsafe.Pointer"}, Arg{"n", "int"})
	for i, arg := range words("dst src n") {
		f.I("MOVD", f.Arg(arg), words("R0 R1 R2")[i])
	}
	for i, bits := range []string{"0x00800000", "0x80000000"} { // the least normal number, the sign
		f.I("MOVD", "$"+bits, "R3")
		f.I("VDUP", "R3", single(30+i))
	}
	loop := f.NewLabel("loop")
	f.Label(loop)
	f.I("VLD1.P", "32(R1)", vectors(0, 2))
	for i := range 2 {
		x, normal := fmt.Sprintf("V%d", i), fmt.Sprintf("V%d", 2+i)
		f.Word("fabs 4s", normal, x)
		f.I("VUMAX", "V30.S4", singles(normal), "V4.S4") // of bits, which order NaN as well
		f.I("VCMEQ", singles(normal), "V4.S4", singles(normal))
		f.I("VORR", "V31.B16", all16(normal), all16(normal))
		f.I("VAND", all16(normal), all16(x), all16(x))
	}
	f.Word("bfcvtn 4h 4s", "V0", "V0")
	f.Word("bfcvtn2 8h 4s", "V0", "V1")
	f.I("VST1.P", "[V0.H8]", "16(R0)")
	f.I("SUBS", Imm(8), "R2", "R2")
	f.I("BNE", loop)
	f.I("RET")
}
