package main

import (
	"fmt"
	"slices"
)

// gemmInteger writes the products of rows of blocks and vectors rounded to eight bits: VPDPBUSD (AVX512_VNNI)
// multiplies 32 bytes without a sign, a block's, by 32 with one, a vector's, and adds every four. What a
// kind's bytes are too large by, their zero, comes in by the other half of the vector's groups.
func gemmInteger() *File {
	v := &vec{File: NewFile("../gemm", "integer"), constants: map[string]bool{}}
	v.roundVector("roundVectorVNNI", "is roundVectorGo for a positive number of groups.", false)
	v.roundVector("roundQuadsVNNI", "is roundQuadsGo for a positive multiple of four groups.", true)
	for _, vectors := range []int{1, 4} {
		d := &integerDots{vec: v, vectors: vectors}
		d.write("Q8_0", 32, 34, d.fourOfQ8, d.oneOfQ8, func() {
			v.I("VMOVDQU64", v.repeated("bytesOf128", 0x80808080), "Z9")
			v.I("VMOVDQU64", v.wordsAt("scalesQ8", 0, 17, 34, 51), "Z16")
			v.I("VMOVDQU64", v.eightsAt("firstHalvesQ8", 1, 18, 35, 52), "Z17")
			v.I("VMOVDQU64", v.eightsAt("lastHalvesQ8", 9-4, 26-4, 43-4, 60-4), "Z18")
			v.I("VMOVDQU64", v.fours(), "Z19")
		})
		d.write("Q4_0", 32, 18, d.fourOfQ4, d.oneOfQ4, func() {
			v.I("VMOVDQU64", v.repeated("lowNibblesOfAll", 0x0f0f0f0f), "Z9")
			v.I("VMOVDQU64", v.wordsAt("scalesQ4", 0, 9, 18, 27), "Z16")
			v.I("VMOVDQU64", v.eightsAt("halvesQ4", 1, 10, 19, 32+28-4), "Z17")
			v.I("VMOVDQU64", v.fours(), "Z19")
		})
		d.write("Q4_K", 256, 144, nil, func() { d.groups(16, false) }, func() {
			v.I("VMOVDQU64", v.bits("lowNibbles", 0x0f0f0f0f), "Y16")
		})
		d.write("Q5_K", 256, 176, nil, func() { d.groups(48, true) }, func() {
			v.I("VMOVDQU64", v.bits("lowNibbles", 0x0f0f0f0f), "Y16")
			v.I("VMOVDQU64", v.bits("fifthBits", 0x10101010), "Y17")
		})
		d.write("Q6_K", 256, 210, nil, d.sixBits, func() {
			v.I("VMOVDQU64", v.bits("lowNibbles", 0x0f0f0f0f), "Y16")
			v.I("VMOVDQU64", v.bits("upperTwoBits", 0x30303030), "Y17")
			for k := range 4 {
				l, r := uint32(2*k), uint32(2*k+1)
				v.I("VMOVDQU64", v.table(fmt.Sprintf("pair%d", k), l, l, l, l, r, r, r, r), Y(28+k))
			}
		})
	}
	v.define()
	return v.File
}

// integerDots writes the products of blocks with one vector or several, that many bytes apart as BX says; R9 is three times
// as many. The row is at SI, the vectors' groups at DI, scales at R11, sums at R12. A vector has two sums, of
// which blocks in fours fill the first.
type integerDots struct {
	*vec
	vectors int
}

func (d *integerDots) sum(i int) int  { return 20 + i }
func (d *integerDots) rest(i int) int { return 24 + i }

// at is the operand of the i-th vector.
func (d *integerDots) at(i, offset int, register string) string {
	switch i {
	case 0:
		return Mem(offset, register)
	case 3:
		return Idx(offset, register, "R9", 1)
	}
	return Idx(offset, register, "BX", i)
}

// apart loads the distances of vectors.
func (d *integerDots) apart() {
	if d.vectors > 1 {
		d.I("MOVQ", d.Arg("apart"), "BX")
		d.I("LEAQ", Idx(0, "BX", "BX", 2), "R9")
	}
}

// each calls f for every vector.
func (d *integerDots) each(f func(i int)) {
	for i := range d.vectors {
		f(i)
	}
}

// write writes the loop over rows of blocks. quad, unless nil, takes four blocks at a time, for which the vectors' groups
// are arranged (roundedVector).
func (d *integerDots) write(kind string, length, size int, quad, block, constants func()) {
	name := fmt.Sprintf("integerDots%s_%d", kind, d.vectors)
	d.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows of blocks, ld bytes apart, with %d rounded vectors; k is a
positive multiple of %d:
	for v := range %d { for i := range rows { for j := range k {
		sum[v*integerCall+i] += x[v][j] * widen(b[i*ld:][j])
	} } }`, name, d.vectors, length, d.vectors),
		Arg{"sum", "*float32"}, Arg{"x", "*roundedVector"}, Arg{"apart", "int"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"k", "int"}, Arg{"rows", "int"})
	d.I("MOVQ", d.Arg("sum"), "R14")
	d.I("MOVQ", d.Arg("b"), "R15")
	d.I("MOVQ", d.Arg("ld"), "R13")
	d.I("MOVQ", d.Arg("rows"), "R10")
	d.apart()
	constants()
	row, loop, rest, end := d.NewLabel("row"), d.NewLabel("loop"), d.NewLabel("rest"), d.NewLabel("end")
	d.Label(row)
	d.I("MOVQ", d.Arg("x"), "AX")
	d.roundedVector()
	d.I("MOVQ", "R15", "SI")
	d.I("MOVQ", d.Arg("k"), "CX")
	d.each(func(i int) {
		d.I("VPXORD", Z(d.sum(i)), Z(d.sum(i)), Z(d.sum(i)))
		d.I("VPXORD", Z(d.rest(i)), Z(d.rest(i)), Z(d.rest(i)))
	})
	next := func(blocks int) {
		d.nextRounded(blocks * length / 32)
		d.I("ADDQ", Imm(blocks*size), "SI")
		d.I("SUBQ", Imm(blocks*length), "CX")
	}
	if quad != nil {
		d.I("SUBQ", Imm(128), "CX")
		d.I("JLT", rest)
		d.I("PCALIGN", Imm(32))
		four := d.NewLabel("four")
		d.Label(four)
		quad()
		next(4)
		d.I("JGE", four)
		d.Label(rest)
		d.I("ADDQ", Imm(128), "CX")
		d.I("JEQ", end)
	}
	d.I("PCALIGN", Imm(32))
	d.Label(loop)
	block()
	next(1)
	d.I("JGT", loop)
	if quad != nil {
		d.Label(end)
	}
	d.each(func(i int) {
		d.I("VADDPS", Z(d.rest(i)), Z(d.sum(i)), Z(0))
		d.I("VEXTRACTF64X4", Imm(1), "Z0", "Y1")
		d.I("VADDPS", "Y1", "Y0", "Y0")
		d.I("VEXTRACTF128", Imm(1), "Y0", "X1")
		d.I("VADDPS", "X1", "X0", "X0")
		d.I("VHADDPS", "X0", "X0", "X0")
		d.I("VHADDPS", "X0", "X0", "X0")
		d.I("VADDSS", Mem(4*integerCall*i, "R14"), "X0", "X0")
		d.I("VMOVSS", "X0", Mem(4*integerCall*i, "R14"))
	})
	d.I("ADDQ", Imm(4), "R14")
	d.I("ADDQ", "R13", "R15")
	d.I("DECQ", "R10")
	d.I("JNE", row)
	d.Return()
}

// integerCall is the most rows of a call, as package gemm knows it.
const integerCall = 32

// fourOfQ4 adds four blocks of Q4_0: 72 bytes, of which words are gathered.
func (d *integerDots) fourOfQ4() {
	d.I("VMOVDQU64", Mem(0, "SI"), "Z4")
	d.I("VPERMT2W", Mem(8, "SI"), "Z17", "Z4")
	d.I("VPSRLW", Imm(4), "Z4", "Z5")
	d.I("VPANDD", "Z9", "Z4", "Z4")
	d.I("VPANDD", "Z9", "Z5", "Z5")
	d.I("VPERMW", Mem(0, "SI"), "Z16", "Z8")
	d.four()
}

// fourOfQ8 adds four blocks of Q8_0: 136 bytes.
func (d *integerDots) fourOfQ8() {
	d.I("VMOVDQU64", Mem(0, "SI"), "Z8")
	d.I("VMOVDQU64", "Z8", "Z4")
	d.I("VPERMT2W", Mem(64, "SI"), "Z17", "Z4")
	d.I("VMOVDQU64", Mem(8, "SI"), "Z5")
	d.I("VPERMT2W", Mem(72, "SI"), "Z18", "Z5")
	d.I("VPXORD", "Z9", "Z4", "Z4")
	d.I("VPXORD", "Z9", "Z5", "Z5")
	d.I("VPERMT2W", Mem(64, "SI"), "Z16", "Z8")
	d.four()
}

// four adds four blocks, the first halves of their bytes in Z4, the others in Z5 and the scales in X8.
func (d *integerDots) four() {
	d.I("VCVTPH2PS", "X8", "X8")
	d.each(func(i int) {
		d.I("VMOVDQU64", d.at(i, 128, "DI"), "Z6")
		d.I("VPDPBUSD", d.at(i, 0, "DI"), "Z4", "Z6")
		d.I("VPDPBUSD", d.at(i, 64, "DI"), "Z5", "Z6")
		d.I("VCVTDQ2PS", "Z6", "Z6")
		d.I("VMULPS", d.at(i, 0, "R11"), "X8", "X7")
		d.I("VPERMPS", "Z7", "Z19", "Z7")
		d.I("VFMADD231PS", "Z7", "Z6", Z(d.sum(i)))
	})
}

func (d *integerDots) oneOfQ8() {
	d.I("VPXOR", Mem(2, "SI"), "Y9", "Y4")
	d.one()
}

func (d *integerDots) oneOfQ4() {
	d.I("VMOVDQU", Mem(2, "SI"), "X4")
	d.I("VPSRLW", Imm(4), "X4", "X5")
	d.I("VINSERTI128", Imm(1), "X5", "Y4", "Y4")
	d.I("VPAND", "Y9", "Y4", "Y4")
	d.one()
}

// one adds a block of 32, its bytes in Y4.
func (d *integerDots) one() {
	d.scale(0, "Y8")
	d.each(func(i int) {
		d.I("VMOVDQU", d.at(i, 32, "DI"), "Y6")
		d.I("VPDPBUSD", d.at(i, 0, "DI"), "Y4", "Y6")
		d.I("VCVTDQ2PS", "Y6", "Y6")
		d.I("VMULPS.BCST", d.at(i, 0, "R11"), "Y8", "Y7")
		d.I("VFMADD231PS", "Y7", "Y6", Y(d.rest(i)))
	})
}

// groups adds a block of Q4_K, or of Q5_K with fifth bits: the eight least numbers times the vectors' sums at once, then the
// groups, whose lower four bits begin at an offset.
func (d *integerDots) groups(offset int, fifths bool) {
	d.sixBitScales()
	d.apart() // which that has overwritten
	d.each(func(i int) { d.I("VFNMADD231PS", d.at(i, 0, "R12"), "Y13", Y(d.rest(i))) })
	d.twice("Y12", 10)
	if fifths {
		d.I("VMOVDQU", Mem(16, "SI"), "Y9")
	}
	for pair := range 4 {
		d.I("VMOVDQU", Mem(offset+32*pair, "SI"), "Y4")
		d.I("VPSRLW", Imm(4), "Y4", "Y5")
		for half, q := range []string{"Y4", "Y5"} {
			group := 2*pair + half
			d.I("VPANDD", "Y16", q, q)
			if fifths {
				d.shifted("Y9", 4-group, "Y3")
				d.I("VPANDD", "Y17", "Y3", "Y3")
				d.I("VPOR", "Y3", q, q)
			}
			d.lane(10, group, "Y8")
			d.each(func(i int) {
				d.I("VPXOR", "Y6", "Y6", "Y6")
				d.I("VPDPBUSD", d.at(i, 64*group, "DI"), q, "Y6")
				d.scaledGroup(i, group)
			})
		}
	}
}

// scaledGroup adds the sums in Y6 times the block's scales in Y8 and the vector's.
func (d *integerDots) scaledGroup(i, group int) {
	d.I("VCVTDQ2PS", "Y6", "Y6")
	d.I("VMULPS.BCST", d.at(i, 4*group, "R11"), "Y8", "Y7")
	sum := d.sum(i)
	if group%2 == 1 {
		sum = d.rest(i)
	}
	d.I("VFMADD231PS", "Y7", "Y6", Y(sum))
}

// sixBits adds a block of Q6_K, of which 32 bytes have two scales.
func (d *integerDots) sixBits() {
	d.scale(208, "Y14")
	for half := range 2 {
		d.I("VPMOVSXBD", Mem(192+8*half, "SI"), "Y12")
		d.I("VCVTDQ2PS", "Y12", "Y12")
		d.I("VMULPS", "Y14", "Y12", "Y12")
		d.I("VMOVDQU", Mem(128+32*half, "SI"), "Y13")
		for quarter := range 4 { // 32 bytes hold two quarters, 64 numbers apart
			group := 4*half + quarter
			d.I("VMOVDQU", Mem(64*half+quarter%2*32, "SI"), "Y4")
			if quarter >= 2 {
				d.I("VPSRLW", Imm(4), "Y4", "Y4")
			}
			d.I("VPANDD", "Y16", "Y4", "Y4")
			d.shifted("Y13", 4-2*quarter, "Y5")
			d.I("VPANDD", "Y17", "Y5", "Y5")
			d.I("VPOR", "Y5", "Y4", "Y4")
			d.I("VPERMPS", "Y12", Y(28+quarter), "Y8")
			d.each(func(i int) {
				d.I("VMOVDQU", d.at(i, 64*group+32, "DI"), "Y6")
				d.I("VPDPBUSD", d.at(i, 64*group, "DI"), "Y4", "Y6")
				d.scaledGroup(i, group)
			})
		}
	}
}

// shifted is a register's words shifted to the left, or to the right if that is negative.
func (v *vec) shifted(from string, left int, to string) {
	if left < 0 {
		v.I("VPSRLW", Imm(-left), from, to)
	} else {
		v.I("VPSLLW", Imm(left), from, to)
	}
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
