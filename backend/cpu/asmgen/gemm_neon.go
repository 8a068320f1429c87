package main

import (
	"fmt"
	"strings"
)

// The micro-kernels of arm64: six rows, and panels of four vectors or two of four float32 each.
const neonRows, neonLanes = 6, 4

// gemmNEON writes the micro-kernels and the products with a vector of package gemm for arm64. Go's assembler knows of vectors'
// arithmetic VFMLA alone, so sums are products with ones and alpha comes in as a factor.
func gemmNEON() *File {
	f := newFileFor("arm64", "../gemm", "neon")
	for _, vecs := range []int{2, 4} {
		table := []string{"nil"}
		for rows := 1; rows <= neonRows; rows++ {
			name := fmt.Sprintf("tileNEON_%dx%d", rows, vecs*neonLanes)
			table = append(table, name)
			f.tileNEON(name, rows, vecs)
		}
		f.Go(fmt.Sprintf("// tilesNEON_%d holds the micro-kernels of that panel width by their number of rows.\n"+
			"var tilesNEON_%d = []func(t *tile){%s}", vecs*neonLanes, vecs*neonLanes, strings.Join(table, ", ")))
	}
	f.dotsNEON("F32", 64, func() { f.I("VLD1.P", "64(R5)", vectors(20, 4)) })
	f.dotsNEON("BF16", 32, func() {
		f.I("VLD1.P", "32(R5)", "[V24.H8, V25.H8]")
		for i := range 2 {
			f.I("VUSHLL", Imm(0), fmt.Sprintf("V%d.H4", 24+i), single(20+2*i))
			f.I("VUSHLL2", Imm(0), fmt.Sprintf("V%d.H8", 24+i), single(21+2*i))
		}
		for i := range 4 {
			f.I("VSHL", Imm(16), single(20+i), single(20+i))
		}
	})
	f.packColsNEON("F32", func(row int, to string) {
		f.I("VLD1.P", fmt.Sprintf("16(R%d)", row), "["+to+".S4]")
	})
	f.packColsNEON("BF16", func(row int, to string) {
		f.I("VLD1.P", fmt.Sprintf("8(R%d)", row), "["+to+".H4]")
		f.I("VUSHLL", Imm(0), to+".H4", to+".S4")
		f.I("VSHL", Imm(16), to+".S4", to+".S4")
	})
	return f
}

// packColsNEON writes the transposition of rows into columns of a panel, four by four; load takes four elements of the row
// at a register and goes on.
func (f *File) packColsNEON(store string, load func(row int, to string)) {
	name := "packColsNEON" + store
	f.Func(name, fmt.Sprintf(`%s transposes the first k elements of 8 rows, k a positive multiple of 4:
	for i := range k { for j := range 8 { dst[i*step/4+j] = widen(rows[j][i]) } }`, name),
		Arg{"dst", "unsafe.Pointer"}, Arg{"step", "int"}, Arg{"rows", "*[8]unsafe.Pointer"}, Arg{"k", "int"})
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
			load(1+4*half+i, fmt.Sprintf("V%d", 4*half+i))
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
	for i := range 4 {
		f.I("ADD", Imm(16), "R0", "R11")
		f.I("VST1", fmt.Sprintf("[V%d.S4]", 16+i), "(R0)")
		f.I("VST1", fmt.Sprintf("[V%d.S4]", 20+i), "(R11)")
		f.I("ADD", "R9", "R0", "R0")
	}
	f.I("SUBS", Imm(4), "R10", "R10")
	f.I("BNE", loop)
	f.I("RET")
}

// single is a vector of float32, vectors a list of them.
func single(v int) string { return fmt.Sprintf("V%d.S4", v) }

func vectors(first, n int) string {
	var list []string
	for i := range n {
		list = append(list, single(first+i))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// tileNEON writes a micro-kernel of whole tiles; tile.spill is for the others. Sums are in V0 and up, B's row in V24
// and up; A's rows are at R2 and up.
func (f *File) tileNEON(name string, rows, vecs int) {
	f.Func(name, fmt.Sprintf("%s computes %d whole rows of a tile, %d columns wide; see tile.", name, rows, vecs*neonLanes),
		Arg{"t", "*tile"})
	f.I("MOVD", f.Arg("t"), "R0")
	for i, field := range words("b a ks bs k c ldc rs") {
		f.I("MOVD", Field("tile", field, "R0"), words("R1 R2 R8 R9 R10 R11 R12 R13")[i])
	}
	for i := 1; i < rows; i++ {
		f.I("ADD", "R13", fmt.Sprintf("R%d", 1+i), fmt.Sprintf("R%d", 2+i))
	}
	for v := range rows * vecs {
		f.I("VEOR", fmt.Sprintf("V%d.B16", v), fmt.Sprintf("V%d.B16", v), fmt.Sprintf("V%d.B16", v))
	}
	loop, plain := f.NewLabel("loop"), f.NewLabel("plain")
	f.Label(loop)
	f.I("VLD1", "(R1)", vectors(24, vecs))
	f.I("ADD", "R9", "R1", "R1")
	for i := range rows {
		a := 28 + i%4
		f.I("VLD1R.P", fmt.Sprintf("(R%d)(R8)", 2+i), fmt.Sprintf("[%s]", single(a)))
		for v := range vecs {
			f.I("VFMLA", single(24+v), single(a), single(i*vecs+v))
		}
	}
	f.I("SUBS", Imm(1), "R10", "R10")
	f.I("BNE", loop)

	f.I("MOVWU", Field("tile", "alpha", "R0"), "R13")
	f.I("VDUP", "R13", single(28))
	f.I("MOVBU", Field("tile", "acc", "R0"), "R13")
	f.I("CBZ", "R13", plain)
	for _, add := range []bool{true, false} {
		for i := range rows {
			if add {
				f.I("VLD1", "(R11)", vectors(24, vecs))
			}
			for v := range vecs {
				if !add {
					f.I("VEOR", fmt.Sprintf("V%d.B16", 24+v), fmt.Sprintf("V%d.B16", 24+v), fmt.Sprintf("V%d.B16", 24+v))
				}
				f.I("VFMLA", single(i*vecs+v), single(28), single(24+v))
			}
			f.I("VST1", vectors(24, vecs), "(R11)")
			if i+1 < rows {
				f.I("ADD", "R12", "R11", "R11")
			}
		}
		f.I("RET")
		if add {
			f.Label(plain)
		}
	}
}

// dotsNEON writes the product of some rows, of which load takes 16 elements at R5 to V20 and up, and a vector.
func (f *File) dotsNEON(store string, size int, load func()) {
	name := "dotsNEON" + store
	f.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows, ld bytes apart, with a vector; k is a positive multiple of 16:
	for i := range rows { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, name),
		Arg{"sum", "*float32"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"rows", "int"})
	for i, arg := range words("sum b ld rows") {
		f.I("MOVD", f.Arg(arg), words("R0 R1 R2 R3")[i])
	}
	f.I("MOVD", "$0x3f800000", "R4")
	f.I("VDUP", "R4", single(31))
	row, loop := f.NewLabel("row"), f.NewLabel("loop")
	f.Label(row)
	f.I("MOVD", "R1", "R5")
	f.I("MOVD", f.Arg("x"), "R6")
	f.I("MOVD", f.Arg("k"), "R7")
	for v := range 4 {
		f.I("VEOR", fmt.Sprintf("V%d.B16", v), fmt.Sprintf("V%d.B16", v), fmt.Sprintf("V%d.B16", v))
	}
	f.Label(loop)
	load()
	f.I("VLD1.P", "64(R6)", vectors(16, 4))
	for v := range 4 {
		f.I("VFMLA", single(16+v), single(20+v), single(v))
	}
	f.I("SUBS", Imm(16), "R7", "R7")
	f.I("BNE", loop)
	for _, add := range [][2]int{{1, 0}, {3, 2}, {2, 0}} {
		f.I("VFMLA", single(add[0]), single(31), single(add[1]))
	}
	for lane := 1; lane < neonLanes; lane++ {
		f.I("VDUP", fmt.Sprintf("V0.S[%d]", lane), single(3+lane))
	}
	for _, add := range [][2]int{{4, 0}, {6, 5}, {5, 0}} {
		f.I("FADDS", fmt.Sprintf("F%d", add[0]), fmt.Sprintf("F%d", add[1]), fmt.Sprintf("F%d", add[1]))
	}
	f.I("FMOVS", "(R0)", "F1")
	f.I("FADDS", "F1", "F0", "F0")
	f.I("FMOVS", "F0", "(R0)")
	f.I("ADD", Imm(4), "R0", "R0")
	f.I("ADD", "R2", "R1", "R1")
	f.I("SUBS", Imm(1), "R3", "R3")
	f.I("BNE", row)
	f.I("RET")
}
