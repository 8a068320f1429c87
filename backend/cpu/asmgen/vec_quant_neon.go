package main

import (
	"fmt"
	"math"
)

// kinds calls f for each kind of blocks, with the code that widens one, as the kinds of AVX2: the block is at R1, and four
// numbers at a time are given to m.four. That code has V4 to V23 and R3 and up; constants are in V24 and up.
func (m blocksNEON) kinds(f func(name string, length, size int, block func())) {
	f("Q8_0", 32, 34, func() {
		m.scale(0, "V4")
		for i := range 2 {
			m.I("FMOVQ", Mem(2+16*i, "R1"), "F8")
			m.signed("V8", 16*i, m.times("V4"))
		}
	})
	f("Q4_0", 32, 18, func() {
		m.scale(0, "V4")
		m.nibbles(2, "V8", "V9")
		for i, half := range words("V8 V9") {
			m.less16(half, "eights", 8)
			m.signed(half, 16*i, m.times("V4"))
		}
	})
	f("IQ4_NL", 32, 18, func() {
		m.scale(0, "V4")
		m.nibbles(2, "V8", "V9")
		levels := m.words16("nonLinear", nonLinearWords()...)
		for i, half := range words("V8 V9") {
			m.I("VTBL", all16(half), "["+all16(levels)+"]", all16(half))
			m.signed(half, 16*i, m.times("V4"))
		}
	})
	f("Q4_1", 32, 20, func() {
		m.scale(0, "V4")
		m.scale(2, "V5")
		m.nibbles(4, "V8", "V9")
		for i, half := range words("V8 V9") {
			m.signed(half, 16*i, m.timesPlus("V4", "V5"))
		}
	})
	f("Q5_0", 32, 22, func() {
		m.scale(0, "V4")
		m.nibbles(6, "V8", "V9")
		m.fifths(2, "V8", "V9")
		for i, half := range words("V8 V9") {
			m.less16(half, "sixteens", 16)
			m.signed(half, 16*i, m.times("V4"))
		}
	})
	f("Q5_1", 32, 24, func() {
		m.scale(0, "V4")
		m.scale(2, "V5")
		m.nibbles(8, "V8", "V9")
		m.fifths(4, "V8", "V9")
		for i, half := range words("V8 V9") {
			m.signed(half, 16*i, m.timesPlus("V4", "V5"))
		}
	})
	f("Q4_K", 256, 144, func() { m.groups(16, func(int, int, string) {}) })
	f("Q5_K", 256, 176, func() {
		m.groups(48, func(group, part int, q string) {
			m.I("FMOVQ", Mem(16+16*part, "R1"), "F12")
			m.bitsTo("V12", 4-group, "sixteens", 0x10101010, q)
		})
	})
	f("Q6_K", 256, 210, m.sixBits)
	f("NF4", 64, 36, func() { m.levels("normalFloat", normalFloat) })
	f("FP4", 64, 36, func() { m.levels("float4", float4) })
	f("FP8", 128, 132, m.floats8)
	f("U4", 64, 36, m.aboveZero)
}

// blocksNEON is the state of a routine on blocks.
type blocksNEON struct {
	machineNEON
	// four takes a register with numbers of a block from one on.
	four func(q string, number int)
}

// blocks writes the decoders of quantized blocks, one a kind, and the table of them. A decoder writes to R0.
func (m machineNEON) blocks() {
	b := blocksNEON{m, func(q string, number int) { m.I("FMOVQ", scalarOf(q), Mem(4*number, "R0")) }}
	var table []string
	b.kinds(func(name string, length, size int, block func()) {
		m.Func("decode"+name, fmt.Sprintf("decode%s is quant's decoder for a positive number of blocks, in NEON.", name),
			Arg{"dst", "*float32"}, Arg{"src", "*byte"}, Arg{"blocks", "int"})
		m.I("MOVD", m.Arg("dst"), "R0")
		m.I("MOVD", m.Arg("src"), "R1")
		m.I("MOVD", m.Arg("blocks"), "R2")
		b.loadConstants(block)
		loop := m.NewLabel("loop")
		m.Label(loop)
		block()
		m.I("ADD", Imm(size), "R1", "R1")
		m.I("ADD", Imm(4*length), "R0", "R0")
		m.I("SUBS", Imm(1), "R2", "R2")
		m.I("BNE", loop)
		m.Return()
		table = append(table, fmt.Sprintf("quant.%s: decode%s,", name, name))
	})
	m.blocksDispatch(table)
}

// loadConstants loads the constants of a block's code.
func (m blocksNEON) loadConstants(block func()) {
	m.vec.scalars, m.vec.unused = map[string]string{}, 24
	if !m.hoist(block) {
		panic("out of registers for constants")
	}
}

// words16 is the register of sixteen bytes.
func (m blocksNEON) words16(name string, w ...uint32) string {
	if register, ok := m.scalars[name]; ok {
		return register
	}
	return m.table(name, w...)
}

// scale widens the F16 at an offset to all lanes.
func (m blocksNEON) scale(offset int, to string) {
	m.I("MOVHU", Mem(offset, "R1"), "R3")
	m.I("VDUP", "R3", to+".H8")
	m.Word("fcvtl 4s 4h", to, to)
}

// nibbles puts the lower and the upper halves of sixteen bytes into registers.
func (m blocksNEON) nibbles(offset int, lower, upper string) {
	m.I("FMOVQ", Mem(offset, "R1"), scalarOf(lower))
	m.I("VUSHR", Imm(4), all16(lower), all16(upper))
	m.I("VAND", all16(m.bits("lowNibbles", 0x0f0f0f0f)), all16(lower), all16(lower))
}

// less16 subtracts a number from sixteen bytes.
func (m blocksNEON) less16(q, name string, number uint32) {
	m.I("VSUB", all16(m.bits(name, 0x01010101*number)), all16(q), all16(q))
}

func (m blocksNEON) times(scale string) func(x string) {
	return func(x string) { m.mul(x, scale, x) }
}

func (m blocksNEON) timesPlus(scale, least string) func(x string) {
	return func(x string) {
		m.mul(x, scale, x)
		m.add(x, least, x)
	}
}

func (m blocksNEON) timesLess(scale, least string) func(x string) {
	return func(x string) {
		m.mul(x, scale, x)
		m.sub(x, least, x)
	}
}

// signed widens sixteen signed bytes, has each four scaled, and gives them as the numbers from one on.
func (m blocksNEON) signed(q string, number int, scaled func(x string)) {
	m.wide16(q)
	for i := range 4 {
		x := m.register(16 + i)
		m.Word("scvtf 4s", x, x)
		scaled(x)
		m.four(x, number+4*i)
	}
}

// wide16 widens sixteen signed bytes to V16 to V19.
func (m blocksNEON) wide16(q string) {
	m.Word("sxtl 8h 8b", "V20", q)
	m.Word("sxtl2 8h 16b", "V21", q)
	for i := range 2 {
		m.Word("sxtl 4s 4h", m.register(16+2*i), m.register(20+i))
		m.Word("sxtl2 4s 8h", m.register(17+2*i), m.register(20+i))
	}
}

// fifths adds the fifth bits, those of a word, to two times sixteen numbers.
func (m blocksNEON) fifths(offset int, qs ...string) {
	each := m.words16("eachBit", 0x08040201, 0x80402010, 0x08040201, 0x80402010)
	m.I("MOVWU", Mem(offset, "R1"), "R3")
	for i, q := range qs {
		if i > 0 {
			m.I("LSR", Imm(16), "R3", "R3")
		}
		m.I("VDUP", "R3", "V12.H8") // its two bytes to eight places each
		m.I("VTBL", all16(m.words16("eightTimes", 0, 0, 0x01010101, 0x01010101)), "[V12.B16]", "V12.B16")
		m.I("VCMTST", all16(each), "V12.B16", "V12.B16")
		m.I("VAND", all16(m.bits("sixteens", 0x10101010)), "V12.B16", "V12.B16")
		m.I("VORR", "V12.B16", all16(q), all16(q))
	}
}

// bitsTo shifts sixteen bytes to the left (to the right if negative) and adds those of their bits that are in a mask.
func (m blocksNEON) bitsTo(from string, left int, mask string, word uint32, q string) {
	switch {
	case left > 0:
		m.I("VSHL", Imm(left), all16(from), all16(from))
	case left < 0:
		m.I("VUSHR", Imm(-left), all16(from), all16(from))
	}
	m.I("VAND", all16(m.bits(mask, word)), all16(from), all16(from))
	m.I("VORR", all16(from), all16(q), all16(q))
}

// groups widens the eight groups of 32 of Q4_K, and of Q5_K, whose more adds a fifth bit; the lower four bits of
// two groups are in 32 bytes from offset on.
func (m blocksNEON) groups(offset int, more func(group, part int, q string)) {
	m.sixBitScales()
	for pair := range 4 {
		for i := range 2 {
			m.lane(4, 2*pair+i, m.register(10+i)) // scales
			m.lane(6, 2*pair+i, m.register(14+i)) // least numbers
		}
		m.nibbles(offset+32*pair, "V8", "V13")
		m.nibbles(offset+32*pair+16, "V9", "V22")
		for n, q := range words("V8 V9 V13 V22") { // in their order, for sums
			i, part := n/2, n%2
			more(2*pair+i, part, q)
			m.signed(q, 64*pair+16*n, m.timesLess(m.register(10+i), m.register(14+i)))
		}
	}
}

// sixBitScales are the eight scales, to V4 and V5, and the eight least numbers, to V6 and V7, of a block of Q4_K or Q5_K.
func (m blocksNEON) sixBitScales() {
	m.scale(0, "V22")
	m.scale(2, "V23")
	for i, r := range words("R3 R4 R5") {
		m.I("MOVWU", Mem(4+4*i, "R1"), r)
	}
	// Six bits of eight scales and of eight least numbers: quant's sixBits, four at a time.
	for i, r := range words("R3 R4") {
		m.I("LSR", Imm(2), r, "R6")
		m.I("AND", "$0x30303030", "R6", "R6")
		m.I("LSR", Imm(4*i), "R5", "R7")
		m.I("AND", "$0x0f0f0f0f", "R7", "R7")
		m.I("ORR", "R7", "R6", "R6")
		m.I("AND", "$0x3f3f3f3f", r, r)
		m.I("ORR", "R6<<32", r, r)
		m.I("FMOVD", r, "F8")
		m.Word("sxtl 8h 8b", "V8", "V8")
		m.Word("sxtl 4s 4h", m.register(4+2*i), "V8")
		m.Word("sxtl2 4s 8h", m.register(5+2*i), "V8")
		for half := range 2 {
			x := m.register(4 + 2*i + half)
			m.Word("scvtf 4s", x, x)
			m.mul(x, m.register(22+i), x)
		}
	}
}

// lane is one lane, of those in the registers from first on, in all lanes.
func (m blocksNEON) lane(first, i int, to string) {
	m.I("VDUP", fmt.Sprintf("V%d.S[%d]", first+i/4, i%4), singles(to))
}

// sixBits widens a block of Q6_K.
func (m blocksNEON) sixBits() {
	m.scale(208, "V22")
	m.I("FMOVQ", Mem(192, "R1"), "F8")
	m.wide16("V8")
	for i := range 4 {
		x := m.register(16 + i)
		m.Word("scvtf 4s", x, x)
		m.mul(x, "V22", m.register(4+i))
	}
	for group := range 16 {
		half, at := group/8, group%8*16
		m.I("FMOVQ", Mem(64*half+at%64, "R1"), "F8")
		if at >= 64 {
			m.I("VUSHR", Imm(4), "V8.B16", "V8.B16")
		} else {
			m.I("VAND", all16(m.bits("lowNibbles", 0x0f0f0f0f)), "V8.B16", "V8.B16")
		}
		m.I("FMOVQ", Mem(128+32*half+at%32, "R1"), "F9")
		m.bitsTo("V9", 4-at/32*2, "upperTwo", 0x30303030, "V8")
		m.less16("V8", "thirtyTwos", 32)
		m.lane(4, group, "V10")
		m.signed("V8", 16*group, m.times("V10"))
	}
}

// levels widens a block of 64 places in a table of sixteen (quant.NormalFloat, quant.Float4), by the bytes of four numbers.
func (m blocksNEON) levels(name string, levels []float32) {
	var bits []uint32
	for _, level := range levels {
		bits = append(bits, math.Float32bits(level))
	}
	m.I("MOVD", "$"+m.table(name, bits...), "R3")
	m.I("VLD1", "(R3)", "[V4.B16, V5.B16, V6.B16, V7.B16]")
	m.I("MOVWU", Mem(0, "R1"), "R3")
	m.I("VDUP", "R3", "V10.S4")
	for i := range 2 {
		m.nibbles(4+16*i, "V9", "V8")
		for part := range 2 { // the upper half of a byte comes first
			m.I(fmt.Sprintf("VZIP%d", 1+part), "V9.B16", "V8.B16", "V11.B16")
			m.I("VSHL", Imm(2), "V11.B16", "V11.B16")
			for four := range 4 {
				x := m.register(16 + four)
				places := m.words16(fmt.Sprintf("fourTimes%d", four), m.fourTimes(four)...)
				m.I("VTBL", all16(places), "[V11.B16]", all16(x))
				m.I("VORR", all16(m.bits("ofFour", 0x03020100)), all16(x), all16(x))
				m.I("VTBL", all16(x), "[V4.B16, V5.B16, V6.B16, V7.B16]", all16(x))
				m.mul(x, "V10", x)
				m.four(x, 32*i+16*part+4*four)
			}
		}
	}
}

// fourTimes are each of four of sixteen places four times.
func (m blocksNEON) fourTimes(four int) (w []uint32) {
	for i := range 4 {
		w = append(w, 0x01010101*uint32(4*four+i))
	}
	return w
}

// aboveZero widens a block of U4.
func (m blocksNEON) aboveZero() {
	m.scale(0, "V4")
	m.I("MOVBU", Mem(2, "R1"), "R3")
	m.I("VDUP", "R3", "V5.S4")
	m.Word("scvtf 4s", "V5", "V5")
	for i := range 2 {
		m.nibbles(4+16*i, "V8", "V9")
		for part := range 2 { // the lower half of a byte comes first
			m.I(fmt.Sprintf("VZIP%d", 1+part), "V9.B16", "V8.B16", "V11.B16")
			m.signed("V11", 32*i+16*part, func(x string) {
				m.sub(x, "V5", x)
				m.mul(x, "V4", x)
			})
		}
	}
}

// floats8 widens a block of FP8, as quant.FromE4M3 does.
func (m blocksNEON) floats8() {
	m.I("MOVWU", Mem(0, "R1"), "R3")
	m.I("VDUP", "R3", "V4.S4")
	bias := m.bits("e4m3Bias", math.Float32bits(0x1p120))
	for i := range 8 {
		m.I("FMOVQ", Mem(4+16*i, "R1"), "F8")
		m.wide16("V8") // the sign is in all upper bits
		for four := range 4 {
			x := m.register(16 + four)
			m.I("VSHL", Imm(20), singles(x), "V10.S4")
			m.I("VAND", all16(m.bits("sevenBits", 0x7f<<20)), "V10.B16", "V10.B16")
			m.I("VBIT", all16(m.bits("signBit", 1<<31)), all16(x), "V10.B16")
			m.mul("V10", bias, "V10")
			m.mul("V10", "V4", "V10")
			m.four("V10", 16*i+4*four)
		}
	}
}
