package main

import (
	"fmt"
	"strings"
)

// gemmFiles writes the kernels of package gemm.
func gemmFiles() []*File {
	return append(gemmBlocks(), gemmTiles(), gemmAMX(), gemmParts(), gemmPack(), gemmVector(), gemmTurned(), gemmTurnedBytes(), gemmIntegerPanels(), gemmIntegerVNNI(),
		gemmNEON(), gemmIntegerNEON(), gemmBF16NEON())
}

// An isa is one instruction set a micro-kernel is written for.
type isa struct {
	name   string
	lanes  int
	reg    func(int) string
	acc    int    // first accumulator
	b, a   [2]int // registers of B's row and of A's broadcast scalars
	masked bool   // stores take a K mask; else VMASKMOVPS
	pairs  bool   // an element is two of bfloat16, and VDPBF16PS multiplies
}

var (
	avx2   = isa{"AVX2", 8, Y, 4, [2]int{0, 1}, [2]int{2, 3}, false, false}
	avx512 = isa{"AVX512", 16, Z, 0, [2]int{28, 29}, [2]int{30, 31}, true, false}
	bf16   = isa{"AVX512BF16", 16, Z, 0, [2]int{28, 29}, [2]int{30, 31}, true, true}
)

// multiplyAdd adds B's row v times the scalar in register a to an accumulator, by their numbers.
func (f *File) multiplyAdd(s isa, v, a, acc int) {
	if s.pairs {
		f.dotPairs(s.b[v], a, acc)
		return
	}
	f.I("VFMADD231PS", s.reg(s.b[v]), s.reg(a), s.reg(acc))
}

// dotPairs is VDPBF16PS Zy, Zx, Zacc (Intel SDM, EVEX.512.F3.0F38.W0 52 /r).
func (f *File) dotPairs(x, y, acc int) {
	f.evexF3(0x52, x, y, acc, fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", y, x, acc))
}

// round16 is VCVTNEPS2BF16 Zx, Yto (EVEX.512.F3.0F38.W0 72 /r).
func (f *File) round16(x, to int) {
	f.evexF3(0x72, 0, x, to, fmt.Sprintf("VCVTNEPS2BF16 Z%d, Y%d", x, to))
}

// round32 is VCVTNE2PS2BF16 Zlow, Zhigh, Zto (EVEX.512.F2.0F38.W0 72 /r).
func (f *File) round32(low, high, to int) {
	f.evex(prefixF2, 0x72, high, low, to, fmt.Sprintf("VCVTNE2PS2BF16 Z%d, Z%d, Z%d", low, high, to))
}

// evexF3 is evex with that prefix.
func (f *File) evexF3(opcode, vvvv, rm, reg int, text string) {
	f.evex(prefixF3, opcode, vvvv, rm, reg, text)
}

// The two bits of an EVEX prefix that stand for one of older instructions.
const prefixF3, prefixF2 = 2, 3

// evex writes an instruction that Go's assembler does not know: EVEX.512.0F38.W0, of registers.
func (f *File) evex(prefix, opcode, vvvv, rm, reg int, text string) {
	not := func(n, bit int) int { return ^n >> bit & 1 }
	code := []int{
		0x62,
		not(reg, 3)<<7 | not(rm, 4)<<6 | not(rm, 3)<<5 | not(reg, 4)<<4 | 2,
		^vvvv&15<<3 | 1<<2 | prefix,
		2<<5 | not(vvvv, 4)<<3,
		opcode,
		3<<6 | reg&7<<3 | rm&7,
	}
	var bytes []string
	for _, b := range code {
		bytes = append(bytes, fmt.Sprintf("BYTE $0x%02x", b))
	}
	fmt.Fprintf(&f.asm, "\t%s // %s\n", strings.Join(bytes, "; "), text)
}

// gemmTiles writes the micro-kernels: every number of rows up to the largest,
// for panels of two vectors and of one.
func gemmTiles() *File {
	f := NewFile("../gemm", "tiles")
	for _, s := range []struct {
		isa
		maxRows int
	}{{avx2, 6}, {avx512, 14}, {bf16, 14}} {
		for vecs := 1; vecs <= 2; vecs++ {
			table := []string{"nil"}
			for rows := 1; rows <= s.maxRows; rows++ {
				name := fmt.Sprintf("tile%s_%dx%d", s.name, rows, vecs*s.lanes)
				table = append(table, name)
				f.tile(s.isa, name, rows, vecs, false)
			}
			f.Go(fmt.Sprintf("// tiles%s_%d holds the micro-kernels of that panel width by their number of "+
				"rows.\nvar tiles%s_%d = []func(t *tile){%s}",
				s.name, vecs*s.lanes, s.name, vecs*s.lanes, strings.Join(table, ", ")))
			f.aheadTiles(s.isa, s.maxRows, vecs)
		}
	}
	f.dense(avx2, "denseAVX2_6x16", 6, 2, 6)
	f.wholeTiles()
	f.peak(avx2)
	f.peak(avx512)
	return f
}

// aheadTiles writes the micro-kernels that fetch the next rows of A: those of most rows and of half as many.
func (f *File) aheadTiles(s isa, maxRows, vecs int) {
	var table []string
	for _, rows := range []int{maxRows / 2, maxRows} {
		name := fmt.Sprintf("ahead%s_%dx%d", s.name, rows, vecs*s.lanes)
		table = append(table, fmt.Sprintf("%d: %s", rows, name))
		f.tile(s, name, rows, vecs, true)
	}
	f.Go(fmt.Sprintf("// ahead%s_%d holds those of that panel width that fetch A's next rows, by their number of rows.\n"+
		"var ahead%s_%d = []func(t *tile){%s}", s.name, vecs*s.lanes, s.name, vecs*s.lanes, strings.Join(table, ", ")))
}

// Registers of a micro-kernel. A's rows are addressed as SI + i*rs, with odd
// multiples of rs in the index registers and powers of two as scales.
const (
	rA, rB, rC, rCount = "SI", "DX", "DI", "CX"
	rStepA, rStepB     = "BX", "AX"
	rTile              = "R15"
)

var rowIndex = map[int]string{1: "R8", 3: "R9", 5: "R10", 7: "R11", 9: "R12", 11: "R13", 13: "R14"}

// rowOperand is an element of row i of a matrix with A's stride: of A at the current k from rA.
func rowOperand(from string, i int) string {
	if i == 0 {
		return Mem(0, from)
	}
	scale := i & -i
	return Idx(0, from, rowIndex[i/scale], scale)
}

// tile writes a micro-kernel. With ahead it is for an A whose steps of k are neighbors, and fetches what lies
// tile.ahead bytes behind: the rows of the next tile come from further away than B, and where they begin no hardware
// knows.
func (f *File) tile(s isa, name string, rows, vecs int, ahead bool) {
	doc := fmt.Sprintf("%s computes %d rows of a tile, %d columns wide; see tile.", name, rows, vecs*s.lanes)
	if ahead {
		doc = fmt.Sprintf("%s is tile%s_%dx%d for an A read where it lies; it fetches the rows tile.ahead bytes behind.", name,
			s.name, rows, vecs*s.lanes)
	}
	f.Func(name, doc, Arg{"t", "*tile"})
	f.I("MOVQ", f.Arg("t"), rTile)
	f.I("MOVQ", Field("tile", "a", rTile), rA)
	f.I("MOVQ", Field("tile", "b", rTile), rB)
	f.I("MOVQ", Field("tile", "c", rTile), rC)
	f.I("MOVQ", Field("tile", "k", rTile), rCount)
	f.I("MOVQ", Field("tile", "ks", rTile), rStepA)
	if rows > 1 {
		f.I("MOVQ", Field("tile", "rs", rTile), "R8")
	}
	for _, lea := range []struct {
		odd, base, scale int // odd = base + scale
	}{{3, 1, 2}, {5, 1, 4}, {7, 3, 4}, {9, 1, 8}, {11, 3, 8}, {13, 5, 8}} {
		if rows > lea.odd {
			f.I("LEAQ", Idx(0, rowIndex[lea.base], "R8", lea.scale), rowIndex[lea.odd])
		}
	}
	acc := f.zero(s, rows, vecs)
	step := func(stepB string) {
		for v := range vecs {
			f.I("VMOVUPS", Mem(4*s.lanes*v, rB), s.reg(s.b[v]))
		}
		for i := range rows {
			a := s.a[i%2]
			f.I("VBROADCASTSS", rowOperand(rA, i), s.reg(a))
			for v := range vecs {
				f.multiplyAdd(s, v, a, s.acc+i*vecs+v)
			}
		}
		f.I("ADDQ", rStepA, rA)
		f.I("ADDQ", stepB, rB)
	}
	main, loop4, tail, loop1, store := f.NewLabel("main"), f.NewLabel("loop"), f.NewLabel("tail"), f.NewLabel("one"),
		f.NewLabel("store")

	f.Comment("The first %d steps fetch one row of C each.", rows)
	fetch := f.NewLabel("fetch")
	f.I("CMPQ", rCount, Imm(rows))
	f.I("JLT", main)
	f.I("SUBQ", Imm(rows), rCount)
	f.I("MOVQ", Imm(rows), rStepB)
	f.Label(fetch)
	f.fetchC(s, vecs)
	f.I("ADDQ", Field("tile", "ldc", rTile), rC)
	step(Field("tile", "bs", rTile))
	f.I("DECQ", rStepB)
	f.I("JNE", fetch)

	f.Label(main)
	f.I("MOVQ", Field("tile", "bs", rTile), rStepB)
	if ahead {
		f.aheadLoop(rows, func() { step(rStepB) })
	}
	f.I("SUBQ", Imm(4), rCount)
	f.I("JLT", tail)
	f.I("PCALIGN", Imm(32))
	f.Label(loop4)
	for range 4 {
		step(rStepB)
	}
	f.I("SUBQ", Imm(4), rCount)
	f.I("JGE", loop4)
	f.Label(tail)
	f.I("ADDQ", Imm(4), rCount)
	f.I("JEQ", store)
	f.Label(loop1)
	step(rStepB)
	f.I("DECQ", rCount)
	f.I("JNE", loop1)

	f.Label(store)
	f.finish(s, rows, vecs, acc)
}

// aheadLoop takes 16 steps in a round, in which a line of each row behind is fetched.
func (f *File) aheadLoop(rows int, step func()) {
	const steps = 16
	loop, tail := f.NewLabel("ahead"), f.NewLabel("behind")
	f.I("MOVQ", Field("tile", "ahead", rTile), rC) // C's register is free until the end
	f.I("ADDQ", rA, rC)
	f.I("SUBQ", Imm(steps), rCount)
	f.I("JLT", tail)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	fetched := 0
	for u := range steps {
		step()
		for ; fetched < rows*(u+1)/steps; fetched++ {
			f.I("PREFETCHT0", rowOperand(rC, fetched))
		}
	}
	f.I("ADDQ", Imm(64), rC)
	f.I("SUBQ", Imm(steps), rCount)
	f.I("JGE", loop)
	f.Label(tail)
	f.I("ADDQ", Imm(steps), rCount)
}

// zero clears the accumulators and returns their names.
func (f *File) zero(s isa, rows, vecs int) (acc func(i, v int) string) {
	acc = func(i, v int) string { return s.reg(s.acc + i*vecs + v) }
	for i := range rows {
		for v := range vecs {
			if s.masked {
				f.I("VPXORQ", acc(i, v), acc(i, v), acc(i, v))
			} else {
				f.I("VXORPS", acc(i, v), acc(i, v), acc(i, v))
			}
		}
	}
	return acc
}

// fetchC asks for one row of a tile of C.
func (f *File) fetchC(s isa, vecs int) {
	last := 4*s.lanes*vecs - 4
	for off := 0; off < last; off += 64 {
		f.I("PREFETCHT0", Mem(off, rC))
	}
	f.I("PREFETCHT0", Mem(last, rC))
}

// finish multiplies the accumulators by alpha, unless it is 1, and stores them.
func (f *File) finish(s isa, rows, vecs int, acc func(i, v int) string) {
	unit := f.NewLabel("unit")
	f.I("CMPL", Field("tile", "alpha", rTile), Imm(0x3f800000))
	f.I("JEQ", unit)
	f.I("VBROADCASTSS", Field("tile", "alpha", rTile), s.reg(s.b[0]))
	for i := range rows {
		for v := range vecs {
			f.I("VMULPS", s.reg(s.b[0]), acc(i, v), acc(i, v))
		}
	}
	f.Label(unit)
	f.I("MOVQ", Field("tile", "c", rTile), rC)
	f.I("MOVQ", Field("tile", "ldc", rTile), "R8")
	if !s.masked {
		f.storeAVX2(s, rows, vecs, acc)
		return
	}
	half := f.NewLabel("half")
	f.masks(vecs)
	if s.pairs {
		f.I("CMPB", Field("tile", "half", rTile), Imm(0))
		f.I("JNE", half)
	}
	f.storeMasked512(s, rows, vecs, acc)
	if s.pairs {
		f.Label(half)
		f.storeHalf(s, rows, vecs)
	}
}

// masks puts the tile's mask of each vector of a row into K1 and on.
func (f *File) masks(vecs int) {
	f.I("MOVQ", Field("tile", "bits", rTile), "CX")
	for v := range vecs {
		f.I("KMOVW", "CX", K(v+1))
		if v+1 < vecs {
			f.I("SHRQ", Imm(16), "CX")
		}
	}
}

// storeHalf is storeMasked512 for a C in bfloat16.
func (f *File) storeHalf(s isa, rows, vecs int) {
	plain := f.NewLabel("plain")
	f.I("CMPB", Field("tile", "acc", rTile), Imm(0))
	f.I("JEQ", plain)
	for _, add := range []bool{true, false} {
		for i := range rows {
			for v := range vecs {
				m, acc := Mem(2*s.lanes*v, rC), s.acc+i*vecs+v
				if add {
					f.I("VPMOVZXWD.Z", m, K(v+1), Z(s.a[0]))
					f.I("VPSLLD", Imm(16), Z(s.a[0]), Z(s.a[0]))
					f.I("VADDPS", Z(s.a[0]), Z(acc), Z(acc))
				}
				f.round16(acc, s.a[1])
				f.I("VMOVDQU16", Y(s.a[1]), K(v+1), m)
			}
			if i+1 < rows {
				f.I("ADDQ", "R8", rC)
			}
		}
		f.Return()
		if add {
			f.Label(plain)
		}
	}
}

// storeMasked512 stores the accumulators under the tile's mask, whole tiles too:
// masked-off lanes neither fault nor cost anything.
func (f *File) storeMasked512(s isa, rows, vecs int, acc func(i, v int) string) {
	plain := f.NewLabel("plain")
	f.I("CMPB", Field("tile", "acc", rTile), Imm(0))
	f.I("JEQ", plain)
	for _, add := range []bool{true, false} {
		for i := range rows {
			for v := range vecs {
				m := Mem(4*s.lanes*v, rC)
				if add {
					f.I("VADDPS", m, acc(i, v), K(v+1), acc(i, v))
				}
				f.I("VMOVUPS", acc(i, v), K(v+1), m)
			}
			if i+1 < rows {
				f.I("ADDQ", "R8", rC)
			}
		}
		f.Return()
		if add {
			f.Label(plain)
		}
	}
}

// storeAVX2 stores whole rows, or parts of rows under the tile's mask vectors.
func (f *File) storeAVX2(s isa, rows, vecs int, acc func(i, v int) string) {
	part, plain, partPlain := f.NewLabel("part"), f.NewLabel("plain"), f.NewLabel("partplain")
	f.I("MOVQ", Field("tile", "mask", rTile), "CX")
	f.I("TESTQ", "CX", "CX")
	f.I("JNE", part)
	for _, masked := range []bool{false, true} {
		other := plain
		if masked {
			other = partPlain
			f.Label(part)
			for v := range vecs {
				f.I("VMOVUPS", Mem(4*s.lanes*v, "CX"), s.reg(s.b[v]))
			}
		}
		f.I("CMPB", Field("tile", "acc", rTile), Imm(0))
		f.I("JEQ", other)
		for _, add := range []bool{true, false} {
			if !add {
				f.Label(other)
			}
			for i := range rows {
				for v := range vecs {
					m := Mem(4*s.lanes*v, rC)
					switch {
					case masked:
						if add {
							f.I("VMASKMOVPS", m, s.reg(s.b[v]), s.reg(s.a[v]))
							f.I("VADDPS", s.reg(s.a[v]), acc(i, v), acc(i, v))
						}
						f.I("VMASKMOVPS", acc(i, v), s.reg(s.b[v]), m)
					default:
						if add {
							f.I("VADDPS", m, acc(i, v), acc(i, v))
						}
						f.I("VMOVUPS", acc(i, v), m)
					}
				}
				if i+1 < rows {
					f.I("ADDQ", "R8", rC)
				}
			}
			f.Return()
		}
	}
}

// peak writes the probe that benchmarks compare with: nothing but FMAs.
func (f *File) peak(s isa) {
	const regs = 12
	name := "peak" + s.name
	f.Func(name, fmt.Sprintf("%s does n * %d floating-point operations in registers.", name, 2*regs*s.lanes),
		Arg{"n", "int"})
	f.I("MOVQ", f.Arg("n"), "CX")
	for r := range regs {
		if s.masked {
			f.I("VPXORQ", s.reg(r), s.reg(r), s.reg(r))
		} else {
			f.I("VXORPS", s.reg(r), s.reg(r), s.reg(r))
		}
	}
	loop := f.NewLabel("peak")
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	for r := range regs {
		f.I("VFMADD231PS", s.reg(r), s.reg(r), s.reg(r))
	}
	f.I("DECQ", "CX")
	f.I("JNE", loop)
	f.Return()
}
