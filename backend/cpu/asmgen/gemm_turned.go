package main

import (
	"fmt"
	"strings"
)

// Micro-kernels for an op(B) that is transposed and read where it lies, some rows of it at a time, as many as a register has numbers:
// they are turned to columns in registers. For few rows of A that costs less than panels, which are written and read again.

// turnedRows is package gemm's: the rows of A that a panel has.
const turnedRows = 8

// pairsOfB are pairs of bfloat16 that VDPBF16PS multiplies as they are.
var pairsOfB = store{"Pairs", 4}

// gemmTurned writes them, by the storage of B and the rows of A.
func gemmTurned() *File {
	f := NewFile("../gemm", "turned")
	for _, of := range []struct {
		isa    string
		rows   int
		write  func(s store, rows int)
		stores []store
	}{{"AVX2", 4, f.turned, stores}, {"AVX512", turnedRows, f.turned512, stores}, {"AVX512", turnedRows, f.turned512, []store{pairsOfB}}} {
		var tables []string
		for _, s := range of.stores {
			table := []string{"nil"}
			for rows := 1; rows <= of.rows; rows++ {
				table = append(table, fmt.Sprintf("turned%s%s_%d", of.isa, s.name, rows))
				of.write(s, rows)
			}
			tables = append(tables, "{"+strings.Join(table, ", ")+"}")
		}
		name, what := "turned"+of.isa, "by its format and the rows of A"
		if len(tables) == 1 {
			name, what = "turnedPairs", "of pairs of bfloat16 along k, for VDPBF16PS, by the rows of A"
		}
		f.Go(fmt.Sprintf("// %s holds the micro-kernels of a B in place, %s.\nvar %s = [3][]func(*tile){\n%s,\n}", name, what, name, strings.Join(tables, ",\n")))
	}
	return f
}

const ldB, thriceB, behindB = "BX", "AX", "DX" // bytes from row to row of B, three times as many, and to what is fetched

// beginTurned opens such a micro-kernel; pointers to every fourth row of B are in fourthRows.
func (f *File) beginTurned(s isa, of store, rows int) {
	name := fmt.Sprintf("turned%s%s_%d", s.name, of.name, rows)
	f.Func(name, fmt.Sprintf(`%s computes %d rows of a tile, %d columns wide, from as many rows of B, tile.bs bytes apart, which it turns; k is
a positive multiple of 8, and A a panel of turnedRows. It fetches the rows tile.ahead bytes behind B's.`, name, rows, s.lanes),
		Arg{"t", "*tile"})
	f.I("MOVQ", f.Arg("t"), rTile)
	f.I("MOVQ", Field("tile", "a", rTile), rA)
	f.I("MOVQ", Field("tile", "b", rTile), fourthRows[0])
	f.I("MOVQ", Field("tile", "bs", rTile), ldB)
	f.I("MOVQ", Field("tile", "k", rTile), rCount)
	f.I("MOVQ", Field("tile", "ahead", rTile), behindB)
	f.I("LEAQ", Idx(0, ldB, ldB, 2), thriceB)
	for i := 1; i < s.lanes/4; i++ {
		f.I("LEAQ", Idx(0, fourthRows[i-1], ldB, 4), fourthRows[i])
	}
}

// rowOfB is the beginning of row r of B, base being every fourth.
func rowOfB(base string, r int) string { return rowFrom(base, r, 0) }

func rowFrom(base string, r, offset int) string {
	switch r % 4 {
	case 0:
		return Mem(offset, base)
	case 3:
		return Idx(offset, base, thriceB, 1)
	default:
		return Idx(offset, base, ldB, r%4)
	}
}

// turned writes the micro-kernel of so many rows of A in AVX2. A round takes a register of each of eight rows of B: of float32 as it
// is, of f16 widened, of bf16 in pairs, which are widened when they are columns.
func (f *File) turned(s store, rows int) {
	isa := avx2
	isa.acc, isa.b, isa.a = 12, [2]int{8, 9}, [2]int{10, 11}
	const free, wide, zero, one = 8, 8, 10, 11 // four registers for turning, and then these, wide of both numbers of a pair
	f.beginTurned(isa, s, rows)
	acc := f.zero(isa, rows, 1)
	pairs, round := s.name == "BF16", 8 // steps of k
	if pairs {
		round = 16
	}
	times := func(step, column int) {
		for i := range rows {
			f.I("VBROADCASTSS", Mem(4*(step*turnedRows+i), rA), Y(one))
			f.I("VFMADD231PS", Y(one), Y(column), acc(i, 0))
		}
	}
	multiply := func(steps int) {
		for i := 0; i < 8; i += 4 {
			f.transposeQuarters(Y, i, free)
		}
		if pairs {
			f.I("VPXOR", Y(zero), Y(zero), Y(zero))
		}
		for u := range steps {
			switch {
			case !pairs:
				times(u, u)
			case u%2 == 0:
				f.I("VPSLLD", Imm(16), Y(u/2), Y(wide))
				times(u, wide)
			default:
				f.I("VPBLENDW", Imm(0xaa), Y(u/2), Y(zero), Y(wide+1))
				times(u, wide+1)
			}
		}
	}
	loop, rest, store := f.NewLabel("loop"), f.NewLabel("rest"), f.NewLabel("store")
	f.I("SUBQ", Imm(round), rCount)
	f.I("JLT", rest)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	f.loadQuarters(s, free)
	for _, p := range fourthRows[:2] {
		f.I("LEAQ", Idx(0, p, behindB, 1), "DI")
		for r := range 4 {
			f.I("PREFETCHT1", rowOfB("DI", r))
		}
		f.I("ADDQ", Imm(s.bytes*round), p)
	}
	multiply(round)
	f.I("ADDQ", Imm(4*turnedRows*round), rA)
	f.I("SUBQ", Imm(round), rCount)
	f.I("JGE", loop)
	f.Label(rest)
	f.I("ADDQ", Imm(round), rCount)
	f.I("JEQ", store)
	if pairs { // eight are left
		for r := range 4 {
			f.I("VMOVUPS", rowOfB(fourthRows[0], r), X(r))
			f.I("VINSERTF128", Imm(1), rowOfB(fourthRows[1], r), Y(r), Y(r))
		}
		multiply(8)
	}
	f.Label(store)
	f.finish(isa, rows, 1, acc)
}

// loadQuarters loads eight words of eight rows into the first registers: the first four of rows r and r+4 into r, the others into r+4.
func (f *File) loadQuarters(s store, free int) {
	for r := range 8 {
		switch {
		case s.name != "F16":
			f.I("VMOVUPS", rowFrom(fourthRows[0], r, r/4*16), X(r))
			f.I("VINSERTF128", Imm(1), rowFrom(fourthRows[1], r, r/4*16), Y(r), Y(r))
		case r < 4:
			f.load(s, rowOfB(fourthRows[0], r), Y(free))
			f.load(s, rowOfB(fourthRows[1], r), Y(free+1))
			f.I("VPERM2F128", Imm(0x20), Y(free+1), Y(free), Y(r))
			f.I("VPERM2F128", Imm(0x31), Y(free+1), Y(free), Y(r+4))
		}
	}
}
