package main

import (
	"fmt"
	"strings"
)

// The micro-kernels of arm64: six rows, and panels of four vectors or two of four float32 each.
const neonRows, neonLanes = 6, 4

// gemmNEON writes what package gemm has for arm64: the micro-kernels, and in files of their own the products with a vector and
// the packing.
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
	for _, st := range stores {
		f.dotsNEON(st)
		f.axpysNEON(st, 4)
		f.axpysNEON(st, 1)
	}
	for _, st := range stores {
		for _, width := range []int{8, 16} {
			f.packRowsNEON(st, width)
		}
		f.packColsNEON(st, 8)
	}
	f.packRowsNEON(stores[0], 6)
	f.packColsNEON(stores[0], 6)
	blockDotsNEON(f)
	return f
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
	f.tileArguments(rows)
	for v := range rows * vecs {
		f.clearNEON(fmt.Sprintf("V%d", v))
	}
	loop := f.NewLabel("loop")
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

	f.storeTileNEON(rows, vecs, func(row, v int) string { return fmt.Sprintf("V%d", row*vecs+v) })
}

// tileArguments loads a tile's fields, and the addresses of A's rows to R2 and up.
func (f *File) tileArguments(rows int) {
	f.I("MOVD", f.Arg("t"), "R0")
	for i, field := range words("b a ks bs k c ldc rs") {
		f.I("MOVD", Field("tile", field, "R0"), words("R1 R2 R8 R9 R10 R11 R12 R13")[i])
	}
	for i := 1; i < rows; i++ {
		f.I("ADD", "R13", fmt.Sprintf("R%d", 1+i), fmt.Sprintf("R%d", 2+i))
	}
}

// storeTileNEON stores the sums, times alpha.
func (f *File) storeTileNEON(rows, vecs int, sum func(row, v int) string) {
	plain := f.NewLabel("plain")
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
				if add {
					f.I("VFMLA", singles(sum(i, v)), single(28), single(24+v))
				} else {
					f.Word("fmul 4s", fmt.Sprintf("V%d", 24+v), sum(i, v), "V28")
				}
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
