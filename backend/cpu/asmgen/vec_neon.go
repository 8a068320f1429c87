package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// machineNEON is that of every arm64 processor. Pointers are in R0 and up and go on with the loop, what is left of the
// length is in R7, and all constants are in registers.
type machineNEON struct{ *vec }

func (machineNEON) level() string           { return "NEON" }
func (machineNEON) instructions() string    { return "NEON" }
func (machineNEON) lanes() int              { return neonLanes }
func (machineNEON) register(i int) string   { return fmt.Sprintf("V%d", i) }
func (machineNEON) registers() int          { return 32 }
func (machineNEON) constantsInMemory() bool { return false }

// scalarOf is a vector register as the assembler names it whole or its lowest lane; the others are its shapes.
func scalarOf(v string) string { return "F" + v[1:] }
func singles(v string) string  { return v + ".S4" }
func doubles(v string) string  { return v + ".D2" }
func all16(v string) string    { return v + ".B16" }

func (m machineNEON) arguments(r routine) {
	for i, s := range r.slices() {
		m.pointers[s] = fmt.Sprintf("R%d", i)
		m.I("MOVD", m.Arg(s), m.pointers[s])
	}
	m.I("MOVD", m.Arg("n"), "R7")
	for _, s := range r.scalars {
		m.I("MOVWU", m.Arg(s), "R9")
		m.I("VDUP", "R9", singles(m.last(s)))
	}
	if r.structure != "" {
		m.I("MOVD", m.Arg("s"), "R8")
		for _, s := range r.structured {
			m.I("MOVWU", Field(r.structure, s, "R8"), "R9")
			m.I("VDUP", "R9", singles(m.last(s)))
		}
	}
}

func (m machineNEON) spread(register, constant string) {
	m.I("MOVD", "$"+constant+"<>(SB)", "R9")
	m.I("FMOVQ", "(R9)", scalarOf(register))
}

// loops takes the tail's elements one after the other, in the lowest lane.
func (m machineNEON) loops(ways int, group func(ways int)) {
	again := func(label string, elements, ways int) {
		m.Label(label)
		group(ways)
		for _, s := range slices.SortedFunc(maps.Keys(m.pointers), func(a, b string) int { return cmp.Compare(m.pointers[a], m.pointers[b]) }) {
			m.I("ADD", Imm(m.bytes(s)*elements), m.pointers[s], m.pointers[s])
		}
		m.I("SUBS", Imm(elements), "R7", "R7")
	}
	for _, width := range widths(ways) {
		loop, done := m.NewLabel("loop"), m.NewLabel("done")
		m.I("SUBS", Imm(neonLanes*width), "R7", "R7")
		m.I("BLT", done)
		again(loop, neonLanes*width, width)
		m.I("BGE", loop)
		m.Label(done)
		m.I("ADD", Imm(neonLanes*width), "R7", "R7")
	}
	if len(m.narrows) > 0 {
		return
	}
	tail, end := m.NewLabel("tail"), m.NewLabel("end")
	m.I("CBZ", "R7", end)
	m.masked = true
	again(tail, 1, 1)
	m.masked = false
	m.I("BNE", tail)
	m.Label(end)
}

func (m machineNEON) loadFrom(slice string, offset int, to string) {
	if m.isNarrow(slice) {
		m.I("FMOVD", Mem(2*offset, m.pointers[slice]), scalarOf(to))
		m.widenLow(slice, to)
		return
	}
	m.I(m.move(), Mem(4*offset, m.pointers[slice]), scalarOf(to))
}

func (m machineNEON) storeTo(from, slice string, offset int) {
	if m.isNarrow(slice) {
		m.narrowTo(from, slice, offset)
		return
	}
	m.I(m.move(), scalarOf(from), Mem(4*offset, m.pointers[slice]))
}

func (m machineNEON) move() string {
	if m.masked {
		return "FMOVS"
	}
	return "FMOVQ"
}

func (m machineNEON) prefetch(slice string, offset int) {
	m.I("PRFM", Mem(4*offset, m.pointers[slice]), "PLDL1KEEP")
}

func (m machineNEON) add(a, b, to string)    { m.Word("fadd 4s", to, a, b) }
func (m machineNEON) sub(a, b, to string)    { m.Word("fsub 4s", to, a, b) }
func (m machineNEON) mul(a, b, to string)    { m.Word("fmul 4s", to, a, b) }
func (m machineNEON) div(a, b, to string)    { m.Word("fdiv 4s", to, a, b) }
func (m machineNEON) sqrt(x, to string)      { m.Word("fsqrt 4s", to, x) }
func (m machineNEON) negate(x, to string)    { m.Word("fneg 4s", to, x) }
func (m machineNEON) abs(x, to string)       { m.Word("fabs 4s", to, x) }
func (m machineNEON) min(a, b, to string)    { m.Word("fmin 4s", to, a, b) }
func (m machineNEON) addMul(a, b, to string) { m.I("VFMLA", singles(b), singles(a), singles(to)) }
func (m machineNEON) subMul(a, b, to string) { m.I("VFMLS", singles(b), singles(a), singles(to)) }

func (m machineNEON) fma(x, b, c string) string {
	to := m.temp()
	m.copy(c, to)
	m.addMul(x, b, to)
	m.release(x)
	return to
}

func (m machineNEON) fms(x, b, c string) string {
	to := m.temp()
	m.negate(c, to)
	m.addMul(x, b, to)
	m.release(x)
	return to
}

func (m machineNEON) fnma(x, b, c string) string {
	to := m.temp()
	m.copy(c, to)
	m.subMul(x, b, to)
	m.release(x)
	return to
}

func (m machineNEON) clear(to string)         { m.I("VEOR", all16(to), all16(to), all16(to)) }
func (m machineNEON) copy(x, to string)       { m.I("VMOV", all16(x), all16(to)) }
func (m machineNEON) set(constant, to string) { m.copy(constant, to) }

func (m machineNEON) copySign(x, to, _ string) {
	m.I("VBIT", all16(m.bits("signBit", 1<<31)), all16(x), all16(to))
}

func (m machineNEON) zeroBelow(x, least, to, scratch string) {
	m.Word("fcmgt 4s", scratch, least, x)
	m.Word("bic 16b", to, to, scratch)
}

func (m machineNEON) mulNotBelow(x, least, factor, to, scratch string) {
	m.mul(to, factor, to)
	m.zeroBelow(x, least, to, scratch)
}

func (m machineNEON) mulBeyond(x, most, factor, to, scratch, scratch2 string) {
	m.Word("fcmge 4s", scratch, most, x)
	m.Word("mvn 16b", scratch, scratch)
	m.mul(x, factor, scratch2)
	m.I("VBIT", all16(scratch), all16(scratch2), all16(to))
}

func (m machineNEON) shiftLeft(n int, x, to string) { m.I("VSHL", Imm(n), singles(x), singles(to)) }
func (m machineNEON) addInt(a, b, to string)        { m.I("VADD", singles(b), singles(a), singles(to)) }
func (m machineNEON) clearTail(x string)            { m.I("FMOVS", scalarOf(x), scalarOf(x)) }

func (machineNEON) wides() int         { return 2 }
func (m machineNEON) grouped() machine { return m }

func (m machineNEON) widen(slice string, offset, half int, to string) {
	switch {
	case m.isNarrow(slice):
		m.I("FMOVS", Mem(2*offset+4*half, m.pointers[slice]), scalarOf(to))
		m.widenLow(slice, to)
	case !m.masked:
		m.I("FMOVD", Mem(4*offset+8*half, m.pointers[slice]), scalarOf(to))
	case half == 0:
		m.loadFrom(slice, offset, to)
	default:
		m.clear(to)
		return
	}
	m.Word("fcvtl 2d 2s", to, to)
}

func (m machineNEON) addWide(a, b, to string)    { m.Word("fadd 2d", to, a, b) }
func (m machineNEON) mulWide(a, b, to string)    { m.Word("fmul 2d", to, a, b) }
func (m machineNEON) addMulWide(a, b, to string) { m.I("VFMLA", doubles(b), doubles(a), doubles(to)) }

func (m machineNEON) accumulate(x, scratch, to string) {
	m.Word("fcvtl 2d 2s", scratch, x)
	m.addWide(to, scratch, to)
	m.Word("fcvtl2 2d 4s", x, x)
	m.addWide(to, x, to)
}

func (m machineNEON) parts(sums []string) []string { return sums }

func (m machineNEON) result(sum string) {
	m.Word("faddp d 2d", sum, sum)
	m.I("MOVD", m.Arg("result"), "R8")
	m.I("FMOVD", scalarOf(sum), "(R8)")
}

// maximum gives NaN where there is one, as the instruction does.
func (m machineNEON) maximum() {
	const ways = 4
	m.open(routine{name: "maximum", ins: words("x"), result: "float32", initial: "-inf", combine: "max(total, %s)"})
	m.bits("minusInf", 0xff800000)
	var acc []string
	for range ways {
		acc = append(acc, m.temp())
		m.spread(acc[len(acc)-1], "minusInf")
	}
	m.run(ways, func(way, offset int) {
		x := m.temp()
		if m.masked {
			m.I("VLD1R", "("+m.pointers["x"]+")", "["+singles(x)+"]")
		} else {
			m.loadFrom("x", offset, x)
		}
		m.Word("fmax 4s", acc[way], acc[way], x)
	})
	for _, pair := range [][2]int{{0, 2}, {1, 3}, {0, 1}} {
		m.Word("fmax 4s", acc[pair[0]], acc[pair[0]], acc[pair[1]])
	}
	m.Word("fmaxv s 4s", acc[0], acc[0])
	m.I("MOVD", m.Arg("result"), "R8")
	m.I("FMOVS", scalarOf(acc[0]), "(R8)")
	m.Return()
}

// conversion goes through dst and src, R0 and R1; V0 to V7 are the body's.
func (m machineNEON) conversion(body func()) {
	m.I("MOVD", m.Arg("dst"), "R0")
	m.I("MOVD", m.Arg("src"), "R1")
	m.I("MOVD", m.Arg("n"), "R2")
	m.scalars, m.unused = map[string]string{}, 8
	m.hoist(body)
	loop, end := m.NewLabel("loop"), m.NewLabel("end")
	m.I("CBZ", "R2", end)
	m.Label(loop)
	body()
	m.I("SUBS", Imm(8), "R2", "R2")
	m.I("BNE", loop)
	m.Label(end)
}

func (m machineNEON) fromBF16() {
	zero := m.bits("zeros", 0)
	m.I("VLD1.P", "16(R1)", "[V0.H8]")
	m.I("VZIP1", "V0.H8", zero+".H8", "V1.H8")
	m.I("VZIP2", "V0.H8", zero+".H8", "V2.H8")
	m.I("VST1.P", vectors(1, 2), "32(R0)")
}

func (m machineNEON) fromF16() {
	m.I("VLD1.P", "16(R1)", "[V0.H8]")
	m.Word("fcvtl 4s 4h", "V1", "V0")
	m.Word("fcvtl2 4s 8h", "V2", "V0")
	m.I("VST1.P", vectors(1, 2), "32(R0)")
}

func (m machineNEON) toF16() {
	m.I("VLD1.P", "32(R1)", vectors(1, 2))
	m.Word("fcvtn 4h 4s", "V0", "V1")
	m.Word("fcvtn2 8h 4s", "V0", "V2")
	m.I("VST1.P", "[V0.H8]", "16(R0)")
}

// toBF16 rounds in whole words, of which it stores the upper halves.
func (m machineNEON) toBF16() {
	one, tie, quiet := m.bits("oneBit", 1), m.bits("belowTie", 0x7fff), m.bits("quietUpper", 0x400000)
	m.I("VLD1.P", "32(R1)", vectors(0, 2))
	for i := range 2 {
		x, y, t := m.register(i), m.register(2+i), m.register(4+i)
		m.I("VUSHR", Imm(16), singles(x), singles(y))
		m.I("VAND", all16(one), all16(y), all16(y))
		m.addInt(y, x, y)
		m.addInt(y, tie, y)
		m.Word("fcmeq 4s", t, x, x) // not NaN
		m.I("VORR", all16(quiet), all16(x), all16(x))
		m.I("VBIF", all16(t), all16(x), all16(y))
	}
	m.I("VUZP2", "V3.H8", "V2.H8", "V0.H8")
	m.I("VST1.P", "[V0.H8]", "16(R0)")
}
