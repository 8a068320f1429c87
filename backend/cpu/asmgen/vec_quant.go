package main

import (
	"fmt"
	"math"
	"strings"
)

// kinds calls f for each kind of blocks, with the code that widens one: the block is at SI, and eight numbers at a time, in
// AVX-512 sixteen, are given to v.some. That code has registers 0 to 3 and 8 to 15, K1, and AX, BX, DX, R8 and R9; its
// scales are in register 8 and up, and what it subtracts or adds.
func (v *vec) kinds(f func(name string, length, size int, block func())) {
	f("Q8_0", 32, 34, func() {
		v.scale(0, v.whole(8))
		for i := range 32 / v.numbers() {
			v.signed(i, Mem(2+v.numbers()*i, "SI"))
		}
	})
	f("Q4_0", 32, 18, func() {
		v.halves(2, func(half string) { v.I("VPSUBB", v.bytes16("eights", 0x08080808), half, half) })
	})
	f("IQ4_NL", 32, 18, func() {
		v.halves(2, func(half string) {
			v.I("VMOVDQU", v.nonLinear(), "X12")
			v.I("VPSHUFB", half, "X12", half)
		})
	})
	f("Q4_1", 32, 20, func() {
		v.scale(0, v.whole(8))
		v.scale(2, v.whole(9))
		v.nibbles(4, func(number int, q string) { v.scaled(q, v.whole(8), "VADDPS", v.whole(9), number) })
	})
	f("Q5_0", 32, 22, func() {
		v.scale(0, v.whole(8))
		v.fifths(2)
		v.nibbles(6, func(number int, q string) {
			v.addFifth(number, q)
			v.I("VPSUBD", v.bits("sixteen", 16), q, q)
			v.scaled(q, v.whole(8), "", "", number)
		})
	})
	f("Q5_1", 32, 24, func() {
		v.scale(0, v.whole(8))
		v.scale(2, v.whole(9))
		v.fifths(4)
		v.nibbles(8, func(number int, q string) {
			v.addFifth(number, q)
			v.scaled(q, v.whole(8), "VADDPS", v.whole(9), number)
		})
	})
	f("Q4_K", 256, 144, func() { v.groups(16, func(int, int, string) {}) })
	f("Q5_K", 256, 176, func() {
		v.groups(48, func(group, i int, q string) {
			v.I("VPMOVZXBD", Mem(16+v.numbers()*i, "SI"), v.whole(2))
			v.bitsTo(v.whole(2), 4-group, "sixteen", 16, q)
		})
	})
	f("Q6_K", 256, 210, v.sixBits)
	f("NF4", 64, 36, func() {
		v.levels("normalFloat", normalFloat)
	})
	f("FP4", 64, 36, func() {
		v.levels("float4", float4)
	})
	f("FP8", 128, 132, v.floats8)
	f("U4", 64, 36, v.aboveZero)
}

// blocks writes the decoders of quantized blocks, one a kind, and the table of them. A decoder's loop writes the
// numbers to DI.
func (v *vec) blocks() {
	var table []string
	v.some = func(q string, number int) { v.I("VMOVUPS", q, Mem(4*number, "DI")) }
	v.kinds(func(name string, length, size int, block func()) {
		v.decoder("decode"+name+v.suffix(), length, size, block)
		table = append(table, fmt.Sprintf("quant.%s: decode%s%s,", name, name, v.suffix()))
	})
	v.blocksDispatch(table)
}

// suffix is that of names of routines for blocks.
func (v *vec) suffix() string {
	if v.written != nil {
		return "AVX512"
	}
	return ""
}

// numbers is how many of a block are widened at a time, whole(i) is the i-th register for them.
func (v *vec) numbers() int {
	if v.written != nil {
		return 16
	}
	return 8
}

func (v *vec) whole(i int) string {
	if v.written != nil {
		return Z(i)
	}
	return Y(i)
}

// bytes16 is the operand of equal words for a register of sixteen bytes.
func (v *vec) bytes16(name string, word uint32) string {
	if v.written != nil {
		return v.table(name, word, word, word, word)
	}
	return v.bits(name, word)
}

// blocksDispatch writes the Go function that package vec calls, and the table of decoders, given as lines.
func (v *vec) blocksDispatch(table []string) {
	v.Go(fmt.Sprintf("// blockDecoders%s are by kind.\nvar blockDecoders%s = [quant.Types]func(dst *float32, src *byte, blocks int){\n",
		v.suffix(), v.suffix()) + strings.Join(table, "\n") + "\n}")
	if v.written != nil {
		return
	}
	decode := "blockDecoders[t](unsafe.SliceData(dst), unsafe.SliceData(src), len(dst)/t.Len())"
	if v.wide != nil {
		wide := strings.Replace(decode, "[", v.wide.suffix()+"[", 1)
		decode = fmt.Sprintf("if use%s {\n%s\nreturn\n}\n%s", v.wide.level(), wide, decode)
	}
	v.Go(strings.NewReplacer("LEVEL", v.level(), "DECODE", decode).Replace(`func fromBlocks(t quant.Type, dst []float32, src []byte) {
	if !useLEVEL || len(dst) == 0 {
		t.Decode(dst, src)
		return
	}
	for len(dst) > piece {
		fromBlocks(t, dst[:piece], src[:t.Bytes(piece)])
		dst, src = dst[piece:], src[t.Bytes(piece):]
	}
	DECODE
}`))
}

// decoder writes the loop over a positive number of blocks.
func (v *vec) decoder(name string, length, size int, block func()) {
	instructions := "AVX2"
	if v.written != nil {
		instructions = v.instructions()
	}
	v.Func(name, fmt.Sprintf("%s is quant's decoder for a positive number of blocks, in %s.", name, instructions),
		Arg{"dst", "*float32"}, Arg{"src", "*byte"}, Arg{"blocks", "int"})
	v.I("MOVQ", v.Arg("dst"), "DI")
	v.I("MOVQ", v.Arg("src"), "SI")
	v.I("MOVQ", v.Arg("blocks"), "CX")
	loop := v.NewLabel("loop")
	v.Label(loop)
	block()
	v.I("ADDQ", Imm(size), "SI")
	v.I("ADDQ", Imm(4*length), "DI")
	v.I("DECQ", "CX")
	v.I("JNZ", loop)
	v.Return()
}

// scale widens the F16 at an offset to all lanes.
func (v *vec) scale(offset int, to string) {
	v.I("MOVWLZX", Mem(offset, "SI"), "DX")
	v.I("VMOVD", "DX", low(to))
	v.I("VCVTPH2PS", low(to), low(to))
	v.I("VBROADCASTSS", low(to), to)
}

// signed widens signed bytes, times the scale in register 8, to the i-th eight or sixteen of the block.
func (v *vec) signed(i int, from string) {
	v.I("VPMOVSXBD", from, v.whole(1))
	v.scaled(v.whole(1), v.whole(8), "", "", v.numbers()*i)
}

// halves makes signed bytes of the lower and the upper halves of 16 bytes, and widens them.
func (v *vec) halves(offset int, toSigned func(half string)) {
	v.scale(0, v.whole(8))
	v.I("VMOVDQU", Mem(offset, "SI"), "X10")
	v.I("VPSRLW", Imm(4), "X10", "X11")
	for i, half := range []string{"X10", "X11"} {
		v.I("VPAND", v.bits("lowNibbles", 0x0f0f0f0f), half, half)
		toSigned(half)
		if v.numbers() == 16 {
			v.signed(i, half)
			continue
		}
		v.signed(2*i, half)
		v.I("VPSRLDQ", Imm(8), half, half)
		v.signed(2*i+1, half)
	}
}

// nibbles calls number for the lower and the upper halves of 16 bytes, as integers.
func (v *vec) nibbles(offset int, number func(first int, q string)) {
	lower, upper := v.whole(1), v.whole(0)
	for i := 0; i < 16; i += v.numbers() {
		v.I("VPMOVZXBD", Mem(offset+i, "SI"), upper)
		v.I("VPAND", v.bits("fifteen", 15), upper, lower)
		v.I("VPSRLD", Imm(4), upper, upper)
		number(i, lower)
		number(16+i, upper)
	}
}

// scaled gives integers, times a register and added to another or less it, as those from a number of the block on.
func (v *vec) scaled(q, scale, op, least string, number int) {
	v.I("VCVTDQ2PS", q, q)
	v.I("VMULPS", scale, q, q)
	if op != "" {
		v.I(op, least, q, q)
	}
	v.some(q, number)
}

// fifths puts bit l and above of a word to lane l of register 10.
func (v *vec) fifths(offset int) {
	var lanes []uint32
	for lane := range v.numbers() {
		lanes = append(lanes, uint32(lane))
	}
	v.I("VPBROADCASTD", Mem(offset, "SI"), v.whole(10))
	v.I("VPSRLVD", v.table("laneNumbers", lanes...), v.whole(10), v.whole(10))
}

// addFifth adds the fifth bits of numbers.
func (v *vec) addFifth(number int, q string) {
	v.I("VMOVDQU", v.whole(10), v.whole(2))
	v.bitsTo(v.whole(2), 4-number, "sixteen", 16, q)
}

// bitsTo shifts a register to the left (to the right if negative) and adds those of its bits that are in a mask.
func (v *vec) bitsTo(from string, left int, mask string, word uint32, q string) {
	switch {
	case left > 0:
		v.I("VPSLLD", Imm(left), from, from)
	case left < 0:
		v.I("VPSRLD", Imm(-left), from, from)
	}
	if v.written != nil {
		v.I("VPTERNLOGD", Imm(0xf8), v.bits(mask, word), from, q) // q | from & mask
		return
	}
	v.I("VPAND", v.bits(mask, word), from, from)
	v.I("VPOR", from, q, q)
}

// groups widens the eight groups of 32 of Q4_K, and of Q5_K, whose more adds a fifth bit; the lower four bits of
// two groups are in 32 bytes from offset on.
func (v *vec) groups(offset int, more func(group, i int, q string)) {
	v.sixBitScales()
	v.twice("Y12", 8)
	v.twice("Y13", 10)
	for pair := range 4 {
		for i := range 2 {
			v.lane(8, 2*pair+i, v.whole(12+i))
			v.lane(10, 2*pair+i, v.whole(14+i))
		}
		lower, upper, n := v.whole(1), v.whole(0), v.numbers()
		for i := range 32 / n {
			v.I("VPMOVZXBD", Mem(offset+32*pair+n*i, "SI"), upper)
			v.I("VPAND", v.bits("fifteen", 15), upper, lower)
			v.I("VPSRLD", Imm(4), upper, upper)
			more(2*pair, i, lower)
			more(2*pair+1, i, upper)
			v.scaled(lower, v.whole(12), "VSUBPS", v.whole(14), 64*pair+n*i)
			v.scaled(upper, v.whole(13), "VSUBPS", v.whole(15), 64*pair+32+n*i)
		}
	}
}

// sixBitScales are the eight scales, to Y12, and the eight least numbers, to Y13, of a block of Q4_K or Q5_K.
func (v *vec) sixBitScales() {
	v.scale(0, "Y14")
	v.scale(2, "Y15")
	// Six bits of eight scales and of eight least numbers: quant's sixBits, four at a time.
	v.I("MOVL", Mem(4, "SI"), "AX")
	v.I("MOVL", Mem(8, "SI"), "BX")
	v.I("MOVL", Mem(12, "SI"), "DX")
	for i, r := range []string{"AX", "BX"} {
		upper, lower := "R8", "R9"
		v.I("MOVL", r, upper)
		v.I("SHRL", Imm(2), upper)
		v.I("ANDL", "$0x30303030", upper)
		v.I("MOVL", "DX", lower)
		if i == 1 {
			v.I("SHRL", Imm(4), lower)
		}
		v.I("ANDL", "$0x0f0f0f0f", lower)
		v.I("ORL", lower, upper)
		v.I("SHLQ", Imm(32), upper)
		v.I("ANDL", "$0x3f3f3f3f", r)
		v.I("ORQ", upper, r)
		v.I("VMOVQ", r, X(12+i))
		v.I("VPMOVZXBD", X(12+i), Y(12+i))
		v.I("VCVTDQ2PS", Y(12+i), Y(12+i))
		v.I("VMULPS", Y(14+i), Y(12+i), Y(12+i))
	}
}

// twice puts the lower four lanes to both halves of Y(to) (all quarters of Z(to)), the upper four to those of the next, for
// lane.
func (v *vec) twice(from string, to int) {
	if v.written != nil {
		v.I("VSHUFF32X4", Imm(0x00), zmm(from), zmm(from), Z(to))
		v.I("VSHUFF32X4", Imm(0x55), zmm(from), zmm(from), Z(to+1))
		return
	}
	v.I("VPERM2F128", "$0x00", from, from, Y(to))
	v.I("VPERM2F128", "$0x11", from, from, Y(to+1))
}

// lane is one lane, of those that twice put to the registers from first on, in all lanes.
func (v *vec) lane(first, i int, to string) {
	v.I("VPSHUFD", Imm(0x55*(i%4)), v.whole(first+i/4), to)
}

// sixBits widens a block of Q6_K.
func (v *vec) sixBits() {
	v.scale(208, "Y14")
	for i := range 2 {
		v.I("VPMOVSXBD", Mem(192+8*i, "SI"), Y(12+i))
		v.I("VCVTDQ2PS", Y(12+i), Y(12+i))
		v.I("VMULPS", "Y14", Y(12+i), Y(12+i))
		v.twice(Y(12+i), 8+2*i)
	}
	q, upper := v.whole(0), v.whole(2)
	for half := range 2 {
		for part := range 2 { // of 16 of each 32
			for k := range 4 {
				v.lane(8, 8*half+2*k+part, v.whole(12+k))
			}
			for i := 16 * part; i < 16*part+16; i += v.numbers() {
				for quarter := range 4 { // in their order, for sums: 32 bytes hold two quarters, 64 numbers apart
					v.I("VPMOVZXBD", Mem(64*half+quarter%2*32+i, "SI"), q)
					if quarter >= 2 {
						v.I("VPSRLD", Imm(4), q, q)
					} else {
						v.I("VPAND", v.bits("fifteen", 15), q, q)
					}
					v.I("VPMOVZXBD", Mem(128+32*half+i, "SI"), upper)
					v.bitsTo(upper, 4-2*quarter, "upperTwo", 0x30, q)
					v.I("VPSUBD", v.bits("thirtyTwo", 32), q, q)
					v.scaled(q, v.whole(12+quarter), "", "", 128*half+32*quarter+i)
				}
			}
		}
	}
}

// levels widens a block of 64 places in a table of sixteen (quant.NormalFloat, quant.Float4).
func (v *vec) levels(name string, levels []float32) {
	if v.written != nil {
		v.levels512(name, levels)
		return
	}
	var halves [2][]uint32
	for i, level := range levels {
		halves[i/8] = append(halves[i/8], math.Float32bits(level))
	}
	v.I("VBROADCASTSS", Mem(0, "SI"), "Y8")
	v.I("VMOVDQU", v.table(name+"Lower", halves[0]...), "Y9")
	v.I("VMOVDQU", v.table(name+"Upper", halves[1]...), "Y10")
	for i := range 8 {
		v.I("VPBROADCASTD", Mem(4+4*i, "SI"), "Y0")
		v.I("VPSRLVD", v.table("upperHalfFirst", 4, 0, 12, 8, 20, 16, 28, 24), "Y0", "Y0")
		v.I("VPERMPS", "Y9", "Y0", "Y1") // by the lower three bits
		v.I("VPERMPS", "Y10", "Y0", "Y2")
		v.I("VPSLLD", Imm(28), "Y0", "Y0") // the fourth becomes the sign, by which the blend chooses
		v.I("VBLENDVPS", "Y0", "Y2", "Y1", "Y1")
		v.I("VMULPS", "Y8", "Y1", "Y1")
		v.some("Y1", 8*i)
	}
}

// levels512 is levels with a table of sixteen in one register.
func (v *vec) levels512(name string, levels []float32) {
	var table []uint32
	for _, level := range levels {
		table = append(table, math.Float32bits(level))
	}
	v.I("VBROADCASTSS", Mem(0, "SI"), "Z8")
	v.I("VMOVUPS", v.table(name, table...), "Z9")
	v.upperLanes()
	for i := range 4 {
		v.twoWords(i, "upperHalfFirst", 4, 0, 12, 8, 20, 16, 28, 24)
		v.I("VPERMPS", "Z9", "Z0", "Z1") // by the lower four bits
		v.I("VMULPS", "Z8", "Z1", "Z1")
		v.some("Z1", 16*i)
	}
}

// upperLanes is the mask of the upper eight lanes, in K1.
func (v *vec) upperLanes() {
	v.I("MOVL", "$0xff00", "DX")
	v.I("KMOVW", "DX", "K1")
}

// twoWords puts a word to the lower eight lanes of Z0, the next to the upper, all shifted to the right by eight distances.
func (v *vec) twoWords(i int, name string, distances ...uint32) {
	v.I("VPBROADCASTD", Mem(4+8*i, "SI"), "Z0")
	v.I("VPBROADCASTD", Mem(8+8*i, "SI"), "K1", "Z0")
	v.I("VPSRLVD", v.table(name, append(distances, distances...)...), "Z0", "Z0")
}

// aboveZero widens a block of U4.
func (v *vec) aboveZero() {
	q, zero := v.whole(0), v.whole(9)
	v.scale(0, v.whole(8))
	v.I("MOVBLZX", Mem(2, "SI"), "DX")
	v.I("VMOVD", "DX", "X9")
	v.I("VPBROADCASTD", "X9", zero)
	if v.written != nil {
		v.upperLanes()
	}
	for i := range 64 / v.numbers() {
		if v.written != nil {
			v.twoWords(i, "lowerHalfFirst", 0, 4, 8, 12, 16, 20, 24, 28)
		} else {
			v.I("VPBROADCASTD", Mem(4+4*i, "SI"), q)
			v.I("VPSRLVD", v.table("lowerHalfFirst", 0, 4, 8, 12, 16, 20, 24, 28), q, q)
		}
		v.I("VPAND", v.bits("fifteen", 15), q, q)
		v.I("VPSUBD", zero, q, q)
		v.scaled(q, v.whole(8), "", "", v.numbers()*i)
	}
}

// floats8 widens a block of FP8, as quant.FromE4M3 does.
func (v *vec) floats8() {
	q, sign, n := v.whole(0), v.whole(1), v.numbers()
	v.I("VBROADCASTSS", Mem(0, "SI"), v.whole(8))
	for i := range 128 / n {
		v.I("VPMOVZXBD", Mem(4+n*i, "SI"), q)
		v.I("VPSLLD", Imm(24), q, sign)
		v.I("VPSLLD", Imm(20), q, q)
		v.I("VPAND", v.bits("signs", 0x80000000), sign, sign)
		v.I("VPAND", v.bits("sevenBits", 0x7f<<20), q, q)
		v.I("VPOR", q, sign, q)
		v.I("VMULPS", v.bits("e4m3Bias", math.Float32bits(0x1p120)), q, q)
		v.I("VMULPS", v.whole(8), q, q)
		v.some(q, n*i)
	}
}

// The levels of NF4 and FP4: quant.NormalFloat and quant.Float4.
var (
	normalFloat = []float32{
		-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
		-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
		0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
	}
	float4 = []float32{
		0, 0.0625 / 12, 8.0 / 12, 1, 4.0 / 12, 6.0 / 12, 2.0 / 12, 3.0 / 12,
		0, -0.0625 / 12, -8.0 / 12, -1, -4.0 / 12, -6.0 / 12, -2.0 / 12, -3.0 / 12,
	}
)

// nonLinear is the operand of the levels of IQ4_NL, twice.
func (v *vec) nonLinear() string {
	return v.table("nonLinear", append(nonLinearWords(), nonLinearWords()...)...)
}

// nonLinearWords are the levels of IQ4_NL (quant.NonLinear).
func nonLinearWords() (words []uint32) {
	levels := [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	for i := range 4 {
		word := uint32(0)
		for j := range 4 {
			word |= uint32(uint8(levels[4*i+j])) << (8 * j)
		}
		words = append(words, word)
	}
	return words
}

// table is the operand of some words, for a register eight or sixteen.
func (v *vec) table(name string, words ...uint32) string {
	if !v.constants[name] {
		v.constants[name] = true
		for i, word := range words {
			fmt.Fprintf(&v.data, "DATA %s<>+%d(SB)/4, $0x%08x\n", name, 4*i, word)
		}
		fmt.Fprintf(&v.data, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, 4*len(words))
	}
	return name + "<>(SB)"
}
