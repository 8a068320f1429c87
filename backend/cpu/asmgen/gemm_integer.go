package main

import "fmt"

// gemmInteger writes the products of rows of blocks and a vector rounded to eight bits: VPDPBUSD (AVX512_VNNI)
// multiplies 32 bytes without a sign, a block's, by 32 with one, the vector's, and adds every four. What a
// kind's bytes are too large by, their zero, comes in by the other half of the vector's groups.
func gemmInteger() *File {
	v := &vec{File: NewFile("../gemm", "integer"), constants: map[string]bool{}}
	v.roundVector()
	v.integerDots("Q8_0", 32, 34, func(i int) {
		v.I("VPXOR", Mem(34*i+2, "SI"), "Y9", "Y4")
		v.blockOf32(34*i, i)
	}, func() { v.I("VMOVDQU", v.bits("bytes128", 0x80808080), "Y9") })
	v.integerDots("Q4_0", 32, 18, func(i int) {
		v.I("VMOVDQU", Mem(18*i+2, "SI"), "X4")
		v.I("VPSRLW", Imm(4), "X4", "X5")
		v.I("VINSERTI128", Imm(1), "X5", "Y4", "Y4")
		v.I("VPAND", "Y9", "Y4", "Y4")
		v.blockOf32(18*i, i)
	}, func() { v.I("VMOVDQU", v.bits("lowNibbles", 0x0f0f0f0f), "Y9") })
	v.integerDots("Q4_K", 256, 144, func(int) { v.integerGroups() },
		func() { v.I("VMOVDQU64", v.bits("lowNibbles", 0x0f0f0f0f), "Y16") })
	v.integerDots("Q6_K", 256, 210, func(int) { v.integerSixBits() }, func() {
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

// integerDots writes the loop over four rows of blocks: the row at SI, the vector's bytes and zeros at DI, its scales at
// R11 and sums at R12. Sums of the row are in Y0 to Y3. block is the i-th of a round of the loop, which has four of
// the short ones.
func (v *vec) integerDots(kind string, length, size int, block func(i int), constants func()) {
	v.Func("integerDots"+kind, fmt.Sprintf(`integerDots%s multiplies 4 rows of blocks, ld bytes apart, with a rounded vector; k is a positive
multiple of %d:
	for i := range 4 { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, kind, length),
		Arg{"sum", "*[4]float32"}, Arg{"x", "*roundedVector"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"})
	v.I("MOVQ", v.Arg("sum"), "R14")
	v.I("MOVQ", v.Arg("b"), "R15")
	v.I("MOVQ", v.Arg("ld"), "R13")
	v.I("MOVQ", Imm(4), "R10")
	constants()
	row, loop, rest, end := v.NewLabel("row"), v.NewLabel("loop"), v.NewLabel("rest"), v.NewLabel("end")
	v.Label(row)
	v.I("MOVQ", v.Arg("x"), "AX")
	v.roundedVector()
	v.I("MOVQ", "R15", "SI")
	v.I("MOVQ", v.Arg("k"), "CX")
	for r := range 4 {
		v.I("VXORPS", Y(r), Y(r), Y(r))
	}
	step := func(blocks int) {
		for i := range blocks {
			block(i)
		}
		v.nextRounded(blocks * length / 32)
		v.I("ADDQ", Imm(blocks*size), "SI")
		v.I("SUBQ", Imm(blocks*length), "CX")
	}
	if length == 32 {
		v.I("SUBQ", Imm(128), "CX")
		v.I("JLT", rest)
		v.I("PCALIGN", Imm(32))
		v.Label(loop)
		step(4)
		v.I("JGE", loop)
		v.Label(rest)
		v.I("ADDQ", Imm(128), "CX")
		v.I("JEQ", end)
		one := v.NewLabel("one")
		v.Label(one)
		step(1)
		v.I("JGT", one)
		v.Label(end)
	} else {
		v.I("PCALIGN", Imm(32))
		v.Label(loop)
		step(1)
		v.I("JGT", loop)
	}
	for _, add := range [][2]int{{1, 0}, {3, 2}, {2, 0}} {
		v.I("VADDPS", Y(add[0]), Y(add[1]), Y(add[1]))
	}
	v.I("VEXTRACTF128", Imm(1), "Y0", "X1")
	v.I("VADDPS", "X1", "X0", "X0")
	v.I("VHADDPS", "X0", "X0", "X0")
	v.I("VHADDPS", "X0", "X0", "X0")
	v.I("VADDSS", Mem(0, "R14"), "X0", "X0")
	v.I("VMOVSS", "X0", Mem(0, "R14"))
	v.I("ADDQ", Imm(4), "R14")
	v.I("ADDQ", "R13", "R15")
	v.I("DECQ", "R10")
	v.I("JNE", row)
	v.Return()
}

// blockOf32 adds the i-th block of 32, its bytes in Y4 and its scale at an offset, to Y(i).
func (v *vec) blockOf32(scale, i int) {
	v.I("MOVWLZX", Mem(scale, "SI"), "DX")
	v.I("VMOVD", "DX", "X8")
	v.I("VCVTPH2PS", "X8", "X8")
	v.I("VMULSS", Mem(4*i, "R11"), "X8", "X8")
	v.I("VBROADCASTSS", "X8", "Y8")
	v.I("VMOVDQU", Mem(64*i+32, "DI"), "Y5")
	v.I("VPDPBUSD", Mem(64*i, "DI"), "Y4", "Y5")
	v.I("VCVTDQ2PS", "Y5", "Y5")
	v.I("VFMADD231PS", "Y8", "Y5", Y(i))
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

// roundVector writes the rounding of a vector: see roundVectorGo, of which it has the bits.
func (v *vec) roundVector() {
	v.Func("roundVectorVNNI", "roundVectorVNNI is roundVectorGo for a positive number of blocks.",
		Arg{"to", "*roundedVector"}, Arg{"x", "unsafe.Pointer"}, Arg{"blocks", "int"}, Arg{"zero", "int"})
	v.I("MOVQ", v.Arg("to"), "AX")
	v.roundedVector()
	v.I("MOVQ", v.Arg("x"), "SI")
	v.I("MOVQ", v.Arg("blocks"), "CX")
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
	v.I("VINSERTI128", Imm(1), "X1", "Y0", "Y0")
	v.I("VMOVDQU", "Y0", Mem(0, "DI"))
	v.I("VPXOR", "Y1", "Y1", "Y1")
	v.I("VPDPBUSD", "Y0", "Y18", "Y1") // sums of four
	v.I("VPMULLD", "Y16", "Y1", "Y2")
	v.I("VPXOR", "Y3", "Y3", "Y3")
	v.I("VPSUBD", "Y2", "Y3", "Y2")
	v.I("VMOVDQU", "Y2", Mem(32, "DI"))
	v.I("VEXTRACTI128", Imm(1), "Y1", "X2")
	v.I("VPADDD", "X2", "X1", "X1")
	v.I("VPHADDD", "X1", "X1", "X1")
	v.I("VPHADDD", "X1", "X1", "X1")
	v.I("VCVTDQ2PS", "X1", "X1")
	v.I("VMULSS", "X4", "X1", "X1")
	v.I("VMOVSS", "X1", Mem(0, "R12"))
	v.nextRounded(1)
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
