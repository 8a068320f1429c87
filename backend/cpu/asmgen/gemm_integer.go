package main

import (
	"fmt"
	"slices"
)

// gemmInteger writes the products of rows of blocks and a vector rounded to eight bits: VPDPBUSD (AVX512_VNNI)
// multiplies 32 bytes without a sign, a block's, by 32 with one, the vector's, and adds every four. What a
// kind's bytes are too large by, their zero, comes in by the other half of the vector's groups.
func gemmInteger() *File {
	v := &vec{File: NewFile("../gemm", "integer"), constants: map[string]bool{}}
	v.roundVector("roundVectorVNNI", "is roundVectorGo for a positive number of groups.", false)
	v.roundVector("roundQuadsVNNI", "is roundQuadsGo for a positive multiple of four groups.", true)
	v.integerDots("Q8_0", 32, 34, v.fourOfQ8, func(int) {
		v.I("VPXOR", Mem(2, "SI"), "Y9", "Y4")
		v.oneOf32()
	}, func() {
		v.I("VMOVDQU64", v.repeated("bytesOf128", 0x80808080), "Z9")
		v.I("VMOVDQU64", v.wordsAt("scalesQ8", 0, 17, 34, 51), "Z16")
		v.I("VMOVDQU64", v.eightsAt("firstHalvesQ8", 1, 18, 35, 52), "Z17")
		v.I("VMOVDQU64", v.eightsAt("lastHalvesQ8", 9-4, 26-4, 43-4, 60-4), "Z18")
		v.I("VMOVDQU64", v.fours(), "Z19")
	})
	v.integerDots("Q4_0", 32, 18, v.fourOfQ4, func(int) {
		v.I("VMOVDQU", Mem(2, "SI"), "X4")
		v.I("VPSRLW", Imm(4), "X4", "X5")
		v.I("VINSERTI128", Imm(1), "X5", "Y4", "Y4")
		v.I("VPAND", "Y9", "Y4", "Y4")
		v.oneOf32()
	}, func() {
		v.I("VMOVDQU64", v.repeated("lowNibblesOfAll", 0x0f0f0f0f), "Z9")
		v.I("VMOVDQU64", v.wordsAt("scalesQ4", 0, 9, 18, 27), "Z16")
		v.I("VMOVDQU64", v.eightsAt("halvesQ4", 1, 10, 19, 32+28-4), "Z17")
		v.I("VMOVDQU64", v.fours(), "Z19")
	})
	v.integerDots("Q4_K", 256, 144, nil, func(int) { v.integerGroups() },
		func() { v.I("VMOVDQU64", v.bits("lowNibbles", 0x0f0f0f0f), "Y16") })
	v.integerDots("Q6_K", 256, 210, nil, func(int) { v.integerSixBits() }, func() {
		v.I("VMOVDQU64", v.bits("lowNibbles", 0x0f0f0f0f), "Y16")
		v.I("VMOVDQU64", v.bits("upperTwoBits", 0x30303030), "Y17")
		for k := range 4 {
			l, r := uint32(2*k), uint32(2*k+1)
			v.I("VMOVDQU64", v.table(fmt.Sprintf("pair%d", k), l, l, l, l, r, r, r, r), Y(18+k))
		}
	})
	v.define()
	return v.File
}

// integerDots writes the loop over rows of blocks: the row at SI, the vector's bytes and zeros at DI, its scales at
// R11 and sums at R12. Sums of the row are in Z0 to Z3, of which Z1 to Z3 are 256 bits long. quad, unless nil,
// takes four blocks at a time, for which the vector's groups are arranged (roundedVector).
func (v *vec) integerDots(kind string, length, size int, quad func(), block func(int), constants func()) {
	v.Func("integerDots"+kind, fmt.Sprintf(`integerDots%s multiplies a positive number of rows of blocks, ld bytes apart, with a rounded vector;
k is a positive multiple of %d:
	for i := range rows { sum[i] = 0; for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, kind, length),
		Arg{"sum", "*float32"}, Arg{"x", "*roundedVector"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"},
		Arg{"rows", "int"})
	v.I("MOVQ", v.Arg("sum"), "R14")
	v.I("MOVQ", v.Arg("b"), "R15")
	v.I("MOVQ", v.Arg("ld"), "R13")
	v.I("MOVQ", v.Arg("rows"), "R10")
	constants()
	row, loop, rest, end := v.NewLabel("row"), v.NewLabel("loop"), v.NewLabel("rest"), v.NewLabel("end")
	v.Label(row)
	v.I("MOVQ", v.Arg("x"), "AX")
	v.roundedVector()
	v.I("MOVQ", "R15", "SI")
	v.I("MOVQ", v.Arg("k"), "CX")
	for r := range 4 { // all of Z0, too
		v.I("VXORPS", Y(r), Y(r), Y(r))
	}
	next := func(blocks int) {
		v.nextRounded(blocks * length / 32)
		v.I("ADDQ", Imm(blocks*size), "SI")
		v.I("SUBQ", Imm(blocks*length), "CX")
	}
	if quad != nil {
		v.I("SUBQ", Imm(128), "CX")
		v.I("JLT", rest)
		v.I("PCALIGN", Imm(32))
		four := v.NewLabel("four")
		v.Label(four)
		quad()
		next(4)
		v.I("JGE", four)
		v.Label(rest)
		v.I("VEXTRACTF64X4", Imm(1), "Z0", "Y1")
		v.I("ADDQ", Imm(128), "CX")
		v.I("JEQ", end)
	}
	v.I("PCALIGN", Imm(32))
	v.Label(loop)
	block(0)
	next(1)
	v.I("JGT", loop)
	if quad != nil {
		v.Label(end)
	}
	for _, add := range [][2]int{{1, 0}, {3, 2}, {2, 0}} {
		v.I("VADDPS", Y(add[0]), Y(add[1]), Y(add[1]))
	}
	v.I("VEXTRACTF128", Imm(1), "Y0", "X1")
	v.I("VADDPS", "X1", "X0", "X0")
	v.I("VHADDPS", "X0", "X0", "X0")
	v.I("VHADDPS", "X0", "X0", "X0")
	v.I("VMOVSS", "X0", Mem(0, "R14"))
	v.I("ADDQ", Imm(4), "R14")
	v.I("ADDQ", "R13", "R15")
	v.I("DECQ", "R10")
	v.I("JNE", row)
	v.Return()
}

// fourOfQ4 adds four blocks of Q4_0: 72 bytes, of which words are gathered.
func (v *vec) fourOfQ4() {
	v.I("VMOVDQU64", Mem(0, "SI"), "Z4")
	v.I("VPERMT2W", Mem(8, "SI"), "Z17", "Z4")
	v.I("VPSRLW", Imm(4), "Z4", "Z5")
	v.I("VPANDD", "Z9", "Z4", "Z4")
	v.I("VPANDD", "Z9", "Z5", "Z5")
	v.I("VPERMW", Mem(0, "SI"), "Z16", "Z8")
	v.fourScaled()
}

// fourOfQ8 adds four blocks of Q8_0: 136 bytes.
func (v *vec) fourOfQ8() {
	v.I("VMOVDQU64", Mem(0, "SI"), "Z8")
	v.I("VMOVDQU64", "Z8", "Z4")
	v.I("VPERMT2W", Mem(64, "SI"), "Z17", "Z4")
	v.I("VMOVDQU64", Mem(8, "SI"), "Z5")
	v.I("VPERMT2W", Mem(72, "SI"), "Z18", "Z5")
	v.I("VPXORD", "Z9", "Z4", "Z4")
	v.I("VPXORD", "Z9", "Z5", "Z5")
	v.I("VPERMT2W", Mem(64, "SI"), "Z16", "Z8")
	v.fourScaled()
}

// fourScaled adds four blocks, the first halves of their bytes in Z4, the others in Z5 and the scales in X8.
func (v *vec) fourScaled() {
	v.I("VMOVDQU64", Mem(128, "DI"), "Z6")
	v.I("VPDPBUSD", Mem(0, "DI"), "Z4", "Z6")
	v.I("VPDPBUSD", Mem(64, "DI"), "Z5", "Z6")
	v.I("VCVTDQ2PS", "Z6", "Z6")
	v.I("VCVTPH2PS", "X8", "X8")
	v.I("VMULPS", Mem(0, "R11"), "X8", "X8")
	v.I("VPERMPS", "Z8", "Z19", "Z8")
	v.I("VFMADD231PS", "Z8", "Z6", "Z0")
}

// oneOf32 adds a block, its bytes in Y4.
func (v *vec) oneOf32() {
	v.I("MOVWLZX", Mem(0, "SI"), "DX")
	v.I("VMOVD", "DX", "X8")
	v.I("VCVTPH2PS", "X8", "X8")
	v.I("VMULSS", Mem(0, "R11"), "X8", "X8")
	v.I("VBROADCASTSS", "X8", "Y8")
	v.I("VMOVDQU", Mem(32, "DI"), "Y5")
	v.I("VPDPBUSD", Mem(0, "DI"), "Y4", "Y5")
	v.I("VCVTDQ2PS", "Y5", "Y5")
	v.I("VFMADD231PS", "Y8", "Y5", "Y2")
}

// repeated is the operand of sixteen equal words.
func (v *vec) repeated(name string, word uint32) string {
	return v.table(name, slices.Repeat([]uint32{word}, 16)...)
}

// wordsAt is the operand of 16-bit places, the rest 0.
func (v *vec) wordsAt(name string, places ...int) string {
	words := make([]uint32, 16)
	for i, p := range places {
		words[i/2] |= uint32(p) << (16 * (i % 2))
	}
	return v.table(name, words...)
}

// eightsAt is the operand of four times eight 16-bit places that follow each other.
func (v *vec) eightsAt(name string, first ...int) string {
	var places []int
	for _, f := range first {
		for i := range 8 {
			places = append(places, f+i)
		}
	}
	return v.wordsAt(name, places...)
}

// fours is the operand of the numbers from 0 to 3, four times each.
func (v *vec) fours() string {
	words := make([]uint32, 16)
	for i := range words {
		words[i] = uint32(i / 4)
	}
	return v.table("fours", words...)
}

// integerGroups adds a block of Q4_K: its eight scales times the vector's, and its least numbers times the
// vector's sums, at once.
func (v *vec) integerGroups() {
	v.sixBitScales()
	v.I("VMULPS", Mem(0, "R11"), "Y12", "Y12")
	v.I("VFNMADD231PS", Mem(0, "R12"), "Y13", "Y3")
	v.twice("Y12", 8)
	for pair := range 4 {
		v.I("VMOVDQU", Mem(16+32*pair, "SI"), "Y4")
		v.I("VPSRLW", Imm(4), "Y4", "Y5")
		for i, q := range []string{"Y4", "Y5"} {
			group := 2*pair + i
			v.I("VPANDD", "Y16", q, q)
			v.I("VPXOR", "Y6", "Y6", "Y6")
			v.I("VPDPBUSD", Mem(64*group, "DI"), q, "Y6")
			v.I("VCVTDQ2PS", "Y6", "Y6")
			v.lane(8, group, "Y7")
			v.I("VFMADD231PS", "Y7", "Y6", Y(group%3))
		}
	}
}

// integerSixBits adds a block of Q6_K: 32 bytes have two scales.
func (v *vec) integerSixBits() {
	v.scale(208, "Y14")
	for half := range 2 {
		v.I("VPMOVSXBD", Mem(192+8*half, "SI"), "Y12")
		v.I("VCVTDQ2PS", "Y12", "Y12")
		v.I("VMULPS", "Y14", "Y12", "Y12")
		v.I("VMOVDQU", Mem(128+32*half, "SI"), "Y13")
		for quarter := range 4 { // 32 bytes hold two quarters, 64 numbers apart
			group := 4*half + quarter
			v.I("VMOVDQU", Mem(64*half+quarter%2*32, "SI"), "Y4")
			if quarter >= 2 {
				v.I("VPSRLW", Imm(4), "Y4", "Y4")
			}
			v.I("VPANDD", "Y16", "Y4", "Y4")
			upper := "Y13"
			switch left := 4 - 2*quarter; {
			case left > 0:
				upper = "Y5"
				v.I("VPSLLW", Imm(left), "Y13", upper)
			case left < 0:
				upper = "Y5"
				v.I("VPSRLW", Imm(-left), "Y13", upper)
			}
			v.I("VPANDD", "Y17", upper, "Y5")
			v.I("VPOR", "Y5", "Y4", "Y4")
			v.I("VMOVDQU", Mem(64*group+32, "DI"), "Y6")
			v.I("VPDPBUSD", Mem(64*group, "DI"), "Y4", "Y6")
			v.I("VCVTDQ2PS", "Y6", "Y6")
			v.I("VPERMPS", "Y12", Y(18+quarter), "Y7")
			v.I("VMULPS.BCST", Mem(4*group, "R11"), "Y7", "Y7")
			v.I("VFMADD231PS", "Y7", "Y6", Y(quarter))
		}
	}
}

// roundVector writes the rounding of a vector, with groups one after the other or in fours.
func (v *vec) roundVector(name, doc string, quads bool) {
	v.Func(name, name+" "+doc,
		Arg{"to", "*roundedVector"}, Arg{"x", "unsafe.Pointer"}, Arg{"groups", "int"}, Arg{"zero", "int"})
	v.I("MOVQ", v.Arg("to"), "AX")
	v.roundedVector()
	v.I("MOVQ", v.Arg("x"), "SI")
	v.I("MOVQ", v.Arg("groups"), "CX")
	v.I("MOVQ", v.Arg("zero"), "AX")
	v.I("VPBROADCASTD", "AX", "Y16")
	v.I("MOVL", "$0x7fffffff", "AX")
	v.I("VPBROADCASTD", "AX", "Z17")
	v.I("VMOVDQU64", v.bits("bytesOf1", 0x01010101), "Y18")
	loop, some := v.NewLabel("loop"), v.NewLabel("some")
	v.Label(loop)
	v.I("VMOVUPS", Mem(0, "SI"), "Z0")
	v.I("VMOVUPS", Mem(64, "SI"), "Z1")
	// The largest magnitude by its bits, which order positive numbers, infinity and NaN.
	v.I("VPANDD", "Z17", "Z0", "Z2")
	v.I("VPANDD", "Z17", "Z1", "Z3")
	v.I("VPMAXUD", "Z2", "Z3", "Z2")
	v.I("VEXTRACTI64X4", Imm(1), "Z2", "Y3")
	v.I("VPMAXUD", "Y3", "Y2", "Y2")
	v.I("VEXTRACTI128", Imm(1), "Y2", "X3")
	v.I("VPMAXUD", "X3", "X2", "X2")
	v.I("VPSHUFD", Imm(0x4e), "X2", "X3")
	v.I("VPMAXUD", "X3", "X2", "X2")
	v.I("VPSHUFD", Imm(0xb1), "X2", "X3")
	v.I("VPMAXUD", "X3", "X2", "X2")
	v.I("VMOVSS", v.constant("steps", 127), "X5")
	v.I("VDIVSS", "X5", "X2", "X4") // the scale
	v.I("VMOVSS", "X4", Mem(0, "R11"))
	v.I("VDIVSS", "X2", "X5", "X5") // its inverse
	v.I("VMOVD", "X2", "AX")
	v.I("TESTL", "AX", "AX")
	v.I("JNE", some)
	v.I("VXORPS", "X5", "X5", "X5")
	v.Label(some)
	v.I("VBROADCASTSS", "X5", "Z5")
	for i := range 2 {
		v.I("VMULPS", "Z5", Z(i), Z(i))
		v.I("VCVTPS2DQ", Z(i), Z(i))
		v.I("VPMOVDB", Z(i), X(i))
	}
	if quads {
		v.I("VMOVDQU", "X0", Mem(0, "DI"))
		v.I("VMOVDQU", "X1", Mem(64, "DI"))
	}
	v.I("VINSERTI128", Imm(1), "X1", "Y0", "Y0")
	if !quads {
		v.I("VMOVDQU", "Y0", Mem(0, "DI"))
	}
	v.I("VPXOR", "Y1", "Y1", "Y1")
	v.I("VPDPBUSD", "Y0", "Y18", "Y1") // sums of four
	v.I("VPMULLD", "Y16", "Y1", "Y2")
	v.I("VPXOR", "Y3", "Y3", "Y3")
	v.I("VPSUBD", "Y2", "Y3", "Y2")
	if quads {
		v.I("VEXTRACTI128", Imm(1), "Y2", "X3")
		v.I("VPADDD", "X3", "X2", "X2")
		v.I("VMOVDQU", "X2", Mem(128, "DI"))
	} else {
		v.I("VMOVDQU", "Y2", Mem(32, "DI"))
	}
	v.I("VEXTRACTI128", Imm(1), "Y1", "X2")
	v.I("VPADDD", "X2", "X1", "X1")
	v.I("VPHADDD", "X1", "X1", "X1")
	v.I("VPHADDD", "X1", "X1", "X1")
	v.I("VCVTDQ2PS", "X1", "X1")
	v.I("VMULSS", "X4", "X1", "X1")
	v.I("VMOVSS", "X1", Mem(0, "R12"))
	if quads {
		v.I("ADDQ", Imm(16), "DI")
		v.I("TESTQ", Imm(48), "DI") // groups begin at multiples of 64
		same := v.NewLabel("same")
		v.I("JNE", same)
		v.I("ADDQ", Imm(256-64), "DI")
		v.Label(same)
		v.I("ADDQ", Imm(4), "R11")
		v.I("ADDQ", Imm(4), "R12")
	} else {
		v.nextRounded(1)
	}
	v.I("ADDQ", Imm(128), "SI")
	v.I("DECQ", "CX")
	v.I("JNE", loop)
	v.Return()
}

// roundedVector takes the parts of the vector at AX.
func (v *vec) roundedVector() {
	for i, field := range words("groups scales sums") {
		v.I("MOVQ", Field("roundedVector", field, "AX"), words("DI R11 R12")[i])
	}
}

// nextRounded goes on by so many groups of 32 numbers.
func (v *vec) nextRounded(groups int) {
	v.I("ADDQ", Imm(64*groups), "DI")
	v.I("ADDQ", Imm(4*groups), "R11")
	v.I("ADDQ", Imm(4*groups), "R12")
}
