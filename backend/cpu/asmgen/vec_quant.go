package main

import (
	"fmt"
	"math"
	"strings"
)

// kinds calls f for each kind of blocks, with the code that widens one: the block is at SI, and eight numbers at a time
// are given to v.eight. That code has Y0 to Y3 and Y8 to Y15, and AX, BX, DX, R8 and R9; its scales are in Y8 and up,
// and what it subtracts or adds.
func (v *vec) kinds(f func(name string, length, size int, block func())) {
	f("Q8_0", 32, 34, func() {
		v.scale(0, "Y8")
		for i := range 4 {
			v.signed(i, Mem(2+8*i, "SI"))
		}
	})
	f("Q4_0", 32, 18, func() {
		v.halves(2, func(half string) { v.I("VPSUBB", v.bits("eights", 0x08080808), half, half) })
	})
	f("IQ4_NL", 32, 18, func() {
		v.halves(2, func(half string) {
			v.I("VMOVDQU", v.nonLinear(), "X12")
			v.I("VPSHUFB", half, "X12", half)
		})
	})
	f("Q4_1", 32, 20, func() {
		v.scale(0, "Y8")
		v.scale(2, "Y9")
		v.nibbles(4, func(number int, q string) { v.scaled(q, "Y8", "VADDPS", "Y9", number) })
	})
	f("Q5_0", 32, 22, func() {
		v.scale(0, "Y8")
		v.fifths(2)
		v.nibbles(6, func(number int, q string) {
			v.addFifth(number, q)
			v.I("VPSUBD", v.bits("sixteen", 16), q, q)
			v.scaled(q, "Y8", "", "", number)
		})
	})
	f("Q5_1", 32, 24, func() {
		v.scale(0, "Y8")
		v.scale(2, "Y9")
		v.fifths(4)
		v.nibbles(8, func(number int, q string) {
			v.addFifth(number, q)
			v.scaled(q, "Y8", "VADDPS", "Y9", number)
		})
	})
	f("Q4_K", 256, 144, func() { v.groups(16, func(int, int, string) {}) })
	f("Q5_K", 256, 176, func() {
		v.groups(48, func(group, i int, q string) {
			v.I("VPMOVZXBD", Mem(16+8*i, "SI"), "Y2")
			v.bitsTo("Y2", 4-group, "sixteen", 16, q)
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
	v.eight = func(q string, number int) { v.I("VMOVUPS", q, Mem(4*number, "DI")) }
	v.kinds(func(name string, length, size int, block func()) {
		v.decoder("decode"+name, length, size, block)
		table = append(table, fmt.Sprintf("quant.%s: decode%s,", name, name))
	})
	v.blocksDispatch(table)
}

// blocksDispatch writes the Go function that package vec calls, and the table of decoders, given as lines.
func (v *vec) blocksDispatch(table []string) {
	v.Go("// blockDecoders are by kind.\nvar blockDecoders = [quant.Types]func(dst *float32, src *byte, blocks int){\n" +
		strings.Join(table, "\n") + "\n}")
	v.Go(strings.ReplaceAll(`func fromBlocks(t quant.Type, dst []float32, src []byte) {
	if !useLEVEL || len(dst) == 0 {
		t.Decode(dst, src)
		return
	}
	for len(dst) > piece {
		fromBlocks(t, dst[:piece], src[:t.Bytes(piece)])
		dst, src = dst[piece:], src[t.Bytes(piece):]
	}
	blockDecoders[t](unsafe.SliceData(dst), unsafe.SliceData(src), len(dst)/t.Len())
}`, "LEVEL", v.level()))
}

// decoder writes the loop over a positive number of blocks.
func (v *vec) decoder(name string, length, size int, block func()) {
	v.Func(name, fmt.Sprintf("%s is quant's decoder for a positive number of blocks, in AVX2.", name),
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

// signed widens eight signed bytes, times the scale in Y8, to the i-th eight of the block.
func (v *vec) signed(i int, from string) {
	v.I("VPMOVSXBD", from, "Y1")
	v.scaled("Y1", "Y8", "", "", 8*i)
}

// halves makes signed bytes of the lower and the upper halves of 16 bytes, and widens them.
func (v *vec) halves(offset int, toSigned func(half string)) {
	v.scale(0, "Y8")
	v.I("VMOVDQU", Mem(offset, "SI"), "X10")
	v.I("VPSRLW", Imm(4), "X10", "X11")
	for i, half := range []string{"X10", "X11"} {
		v.I("VPAND", v.bits("lowNibbles", 0x0f0f0f0f), half, half)
		toSigned(half)
		v.signed(2*i, half)
		v.I("VPSRLDQ", Imm(8), half, half)
		v.signed(2*i+1, half)
	}
}

// nibbles calls number for eights of the lower and the upper halves of 16 bytes, as integers.
func (v *vec) nibbles(offset int, number func(first int, q string)) {
	for i := range 2 {
		v.I("VPMOVZXBD", Mem(offset+8*i, "SI"), "Y0")
		v.I("VPAND", v.bits("fifteen", 15), "Y0", "Y1")
		v.I("VPSRLD", Imm(4), "Y0", "Y0")
		number(8*i, "Y1")
		number(16+8*i, "Y0")
	}
}

// scaled gives eight integers, times a register and added to another or less it, as those from a number of the block on.
func (v *vec) scaled(q, scale, op, least string, number int) {
	v.I("VCVTDQ2PS", q, q)
	v.I("VMULPS", scale, q, q)
	if op != "" {
		v.I(op, least, q, q)
	}
	v.eight(q, number)
}

// fifths puts bit l and above of a word to lane l of Y10.
func (v *vec) fifths(offset int) {
	v.I("VPBROADCASTD", Mem(offset, "SI"), "Y10")
	v.I("VPSRLVD", v.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7), "Y10", "Y10")
}

// addFifth adds the fifth bits of eight numbers.
func (v *vec) addFifth(number int, q string) {
	v.I("VMOVDQU", "Y10", "Y2")
	v.bitsTo("Y2", 4-number, "sixteen", 16, q)
}

// bitsTo shifts a register to the left (to the right if negative) and adds those of its bits that are in a mask.
func (v *vec) bitsTo(from string, left int, mask string, word uint32, q string) {
	switch {
	case left > 0:
		v.I("VPSLLD", Imm(left), from, from)
	case left < 0:
		v.I("VPSRLD", Imm(-left), from, from)
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
			v.lane(8, 2*pair+i, Y(12+i))
			v.lane(10, 2*pair+i, Y(14+i))
		}
		for i := range 4 {
			v.I("VPMOVZXBD", Mem(offset+32*pair+8*i, "SI"), "Y0")
			v.I("VPAND", v.bits("fifteen", 15), "Y0", "Y1")
			v.I("VPSRLD", Imm(4), "Y0", "Y0")
			more(2*pair, i, "Y1")
			more(2*pair+1, i, "Y0")
			v.scaled("Y1", "Y12", "VSUBPS", "Y14", 64*pair+8*i)
			v.scaled("Y0", "Y13", "VSUBPS", "Y15", 64*pair+32+8*i)
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

// twice puts the lower four lanes to both halves of Y(to), the upper four to those of the next, for lane.
func (v *vec) twice(from string, to int) {
	v.I("VPERM2F128", "$0x00", from, from, Y(to))
	v.I("VPERM2F128", "$0x11", from, from, Y(to+1))
}

// lane is one lane, of those that twice put to the registers from first on, in all lanes.
func (v *vec) lane(first, i int, to string) { v.I("VPSHUFD", Imm(0x55*(i%4)), Y(first+i/4), to) }

// sixBits widens a block of Q6_K.
func (v *vec) sixBits() {
	v.scale(208, "Y14")
	for i := range 2 {
		v.I("VPMOVSXBD", Mem(192+8*i, "SI"), Y(12+i))
		v.I("VCVTDQ2PS", Y(12+i), Y(12+i))
		v.I("VMULPS", "Y14", Y(12+i), Y(12+i))
		v.twice(Y(12+i), 8+2*i)
	}
	for half := range 2 {
		for part := range 2 { // of 16 of each 32
			for k := range 4 {
				v.lane(8, 8*half+2*k+part, Y(12+k))
			}
			for i := 16 * part; i < 16*part+16; i += 8 {
				for quarter := range 4 { // in their order, for sums: 32 bytes hold two quarters, 64 numbers apart
					v.I("VPMOVZXBD", Mem(64*half+quarter%2*32+i, "SI"), "Y0")
					if quarter >= 2 {
						v.I("VPSRLD", Imm(4), "Y0", "Y0")
					} else {
						v.I("VPAND", v.bits("fifteen", 15), "Y0", "Y0")
					}
					v.I("VPMOVZXBD", Mem(128+32*half+i, "SI"), "Y2")
					v.bitsTo("Y2", 4-2*quarter, "upperTwo", 0x30, "Y0")
					v.I("VPSUBD", v.bits("thirtyTwo", 32), "Y0", "Y0")
					v.scaled("Y0", Y(12+quarter), "", "", 128*half+32*quarter+i)
				}
			}
		}
	}
}

// levels widens a block of 64 places in a table of sixteen (quant.NormalFloat, quant.Float4).
func (v *vec) levels(name string, levels []float32) {
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
		v.eight("Y1", 8*i)
	}
}

// aboveZero widens a block of U4.
func (v *vec) aboveZero() {
	v.scale(0, "Y8")
	v.I("MOVBLZX", Mem(2, "SI"), "DX")
	v.I("VMOVD", "DX", "X9")
	v.I("VPBROADCASTD", "X9", "Y9")
	for i := range 8 {
		v.I("VPBROADCASTD", Mem(4+4*i, "SI"), "Y0")
		v.I("VPSRLVD", v.table("lowerHalfFirst", 0, 4, 8, 12, 16, 20, 24, 28), "Y0", "Y0")
		v.I("VPAND", v.bits("fifteen", 15), "Y0", "Y0")
		v.I("VPSUBD", "Y9", "Y0", "Y0")
		v.scaled("Y0", "Y8", "", "", 8*i)
	}
}

// floats8 widens a block of FP8, as quant.FromE4M3 does.
func (v *vec) floats8() {
	v.I("VBROADCASTSS", Mem(0, "SI"), "Y8")
	for i := range 16 {
		v.I("VPMOVZXBD", Mem(4+8*i, "SI"), "Y0")
		v.I("VPSLLD", Imm(24), "Y0", "Y1")
		v.I("VPSLLD", Imm(20), "Y0", "Y0")
		v.I("VPAND", v.bits("signs", 0x80000000), "Y1", "Y1")
		v.I("VPAND", v.bits("sevenBits", 0x7f<<20), "Y0", "Y0")
		v.I("VPOR", "Y0", "Y1", "Y0")
		v.I("VMULPS", v.bits("e4m3Bias", math.Float32bits(0x1p120)), "Y0", "Y0")
		v.I("VMULPS", "Y8", "Y0", "Y0")
		v.eight("Y0", 8*i)
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
