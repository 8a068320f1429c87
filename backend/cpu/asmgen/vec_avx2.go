package main

import (
	"fmt"
	"math"
)

// machineAVX2 is that of AVX2 and FMA. Y15 is the mask of the tail; AX counts elements, CX is their number.
type machineAVX2 struct{ *vec }

const mask = "Y15"

// low is the lower half of a register.
func low(y string) string { return "X" + y[1:] }

func (machineAVX2) level() string           { return "AVX2" }
func (machineAVX2) instructions() string    { return "AVX2 and FMA" }
func (machineAVX2) lanes() int              { return 8 }
func (machineAVX2) register(i int) string   { return Y(i) }
func (machineAVX2) registers() int          { return 15 }
func (machineAVX2) constantsInMemory() bool { return true }

func (m machineAVX2) arguments(r routine) {
	registers := words("DI SI R8 R9 R10 R11 BX")
	for i, s := range r.slices() {
		m.pointers[s] = registers[i]
		m.I("MOVQ", m.Arg(s), registers[i])
	}
	m.I("MOVQ", m.Arg("n"), "CX")
	for _, s := range r.scalars {
		m.I("VBROADCASTSS", m.Arg(s), m.last(s))
	}
	if r.structure != "" {
		m.I("MOVQ", m.Arg("s"), "DX")
		for _, s := range r.structured {
			m.I("VBROADCASTSS", Field(r.structure, s, "DX"), m.last(s))
		}
	}
}

func (m machineAVX2) spread(register, constant string) { m.I("VMOVUPS", constant+"<>(SB)", register) }

// loops masks the tail.
func (m machineAVX2) loops(ways int, group func(ways int)) {
	m.I("XORQ", "AX", "AX")
	for _, width := range widths(ways) {
		m.while(8*width, func() { group(width) })
	}
	if len(m.narrows) > 0 {
		return
	}
	end := m.NewLabel("end")
	m.I("SUBQ", "AX", "CX")
	m.I("JZ", end)
	m.I("NEGQ", "CX")
	m.I("LEAQ", "tailMask<>(SB)", "DX")
	m.I("VMOVUPS", Idx(32, "DX", "CX", 4), mask)
	m.masked = true
	group(1)
	m.masked = false
	m.Label(end)
}

// while writes a loop that goes on while so many elements are left.
func (m machineAVX2) while(elements int, body func()) {
	loop, done := m.NewLabel("loop"), m.NewLabel("done")
	m.I("LEAQ", Mem(-elements, "CX"), "DX")
	m.I("CMPQ", "AX", "DX")
	m.I("JGT", done)
	m.Label(loop)
	body()
	m.I("ADDQ", Imm(elements), "AX")
	m.I("CMPQ", "AX", "DX")
	m.I("JLE", loop)
	m.Label(done)
}

func (m machineAVX2) loadFrom(slice string, offset int, to string) {
	at := Idx(4*offset, m.pointers[slice], "AX", 4)
	if m.isNarrow(slice) {
		m.widenFrom(slice, offset, to)
	} else if m.masked {
		m.I("VMASKMOVPS", at, mask, to)
	} else {
		m.I("VMOVUPS", at, to)
	}
}

func (m machineAVX2) storeTo(from, slice string, offset int) {
	at := Idx(4*offset, m.pointers[slice], "AX", 4)
	if m.isNarrow(slice) {
		m.narrowTo(from, slice, offset)
	} else if m.masked {
		m.I("VMASKMOVPS", from, mask, at)
	} else {
		m.I("VMOVUPS", from, at)
	}
}

func (m machineAVX2) prefetch(slice string, offset int) {
	bytes := m.bytes(slice)
	m.I("PREFETCHT0", Idx(bytes*offset, m.pointers[slice], "AX", bytes))
}

func (m machineAVX2) add(a, b, to string)    { m.I("VADDPS", b, a, to) }
func (m machineAVX2) sub(a, b, to string)    { m.I("VSUBPS", b, a, to) }
func (m machineAVX2) mul(a, b, to string)    { m.I("VMULPS", b, a, to) }
func (m machineAVX2) div(a, b, to string)    { m.I("VDIVPS", b, a, to) }
func (m machineAVX2) sqrt(x, to string)      { m.I("VSQRTPS", x, to) }
func (m machineAVX2) negate(x, to string)    { m.I("VXORPS", m.bits("signBit", 1<<31), x, to) }
func (m machineAVX2) abs(x, to string)       { m.I("VANDPS", m.bits("allButSign", 1<<31-1), x, to) }
func (m machineAVX2) min(a, b, to string)    { m.I("VMINPS", b, a, to) }
func (m machineAVX2) addMul(a, b, to string) { m.I("VFMADD231PS", b, a, to) }
func (m machineAVX2) subMul(a, b, to string) { m.I("VFNMADD231PS", b, a, to) }

func (m machineAVX2) fma(x, b, c string) string {
	m.I("VFMADD213PS", c, b, x)
	return x
}

func (m machineAVX2) fms(x, b, c string) string {
	m.I("VFMSUB213PS", c, b, x)
	return x
}

func (m machineAVX2) fnma(x, b, c string) string {
	m.I("VFNMADD213PS", c, b, x)
	return x
}

func (m machineAVX2) clear(to string)         { m.I("VXORPS", to, to, to) }
func (m machineAVX2) copy(x, to string)       { m.I("VMOVAPS", x, to) }
func (m machineAVX2) set(constant, to string) { m.I("VMOVUPS", constant, to) }

func (m machineAVX2) copySign(x, to, scratch string) {
	m.I("VANDPS", m.bits("signBit", 1<<31), x, scratch)
	m.I("VORPS", scratch, to, to)
}

func (m machineAVX2) zeroBelow(x, least, to, scratch string) {
	m.I("VCMPPS", Imm(1), least, x, scratch) // less
	m.I("VANDNPS", to, scratch, to)
}

func (m machineAVX2) mulNotBelow(x, least, factor, to, scratch string) {
	m.mul(to, factor, to)
	m.zeroBelow(x, least, to, scratch)
}

func (m machineAVX2) mulBeyond(x, most, factor, to, scratch, scratch2 string) {
	m.I("VCMPPS", Imm(6), most, x, scratch) // not less or equal
	m.mul(x, factor, scratch2)
	m.I("VBLENDVPS", scratch, scratch2, to, to)
}

func (m machineAVX2) shiftLeft(n int, x, to string) { m.I("VPSLLD", Imm(n), x, to) }
func (m machineAVX2) addInt(a, b, to string)        { m.I("VPADDD", b, a, to) }
func (m machineAVX2) clearTail(x string)            { m.I("VANDPS", mask, x, x) }

func (machineAVX2) wides() int         { return 2 }
func (m machineAVX2) grouped() machine { return m }

func (m machineAVX2) widen(slice string, offset, half int, to string) {
	if m.isNarrow(slice) {
		m.widenFrom(slice, offset+4*half, low(to))
		m.I("VCVTPS2PD", low(to), to)
		return
	}
	if !m.masked {
		m.I("VCVTPS2PD", Idx(4*offset+16*half, m.pointers[slice], "AX", 4), to)
		return
	}
	m.loadFrom(slice, offset, to)
	m.I("VEXTRACTF128", Imm(half), to, low(to))
	m.I("VCVTPS2PD", low(to), to)
}

func (m machineAVX2) addWide(a, b, to string)    { m.I("VADDPD", b, a, to) }
func (m machineAVX2) mulWide(a, b, to string)    { m.I("VMULPD", b, a, to) }
func (m machineAVX2) addMulWide(a, b, to string) { m.I("VFMADD231PD", b, a, to) }

func (m machineAVX2) accumulate(x, scratch, to string) {
	m.I("VCVTPS2PD", low(x), scratch)
	m.I("VADDPD", scratch, to, to)
	m.I("VEXTRACTF128", Imm(1), x, low(x))
	m.I("VCVTPS2PD", low(x), x)
	m.I("VADDPD", x, to, to)
}

func (m machineAVX2) parts(sums []string) []string { return sums }

func (m machineAVX2) result(sum string) {
	x := low(sum)
	m.I("VEXTRACTF128", Imm(1), sum, "X15")
	m.I("VADDPD", "X15", x, x)
	m.I("VHADDPD", x, x, x)
	m.I("MOVQ", m.Arg("result"), "DX")
	m.I("VMOVSD", x, "(DX)")
}

// maximum keeps the lanes that met a NaN beside the largest elements, since
// VMAXPS forgets them.
func (m machineAVX2) maximum() {
	const ways = 4
	m.open(routine{name: "maximum", ins: words("x"), result: "float32", initial: "-inf", combine: "max(total, %s)"})
	var acc []string
	for range ways {
		acc = append(acc, m.temp())
		m.I("VMOVUPS", m.bits("minusInf", 0xff800000), acc[len(acc)-1])
	}
	nan := m.zero()
	m.run(ways, func(way, offset int) {
		x, t := m.temp(), m.temp()
		m.loadFrom("x", offset, x)
		m.I("VCMPPS", Imm(3), x, x, t) // unordered
		if m.masked {
			m.I("VBLENDVPS", mask, x, acc[0], x)
		}
		m.I("VORPS", t, nan, nan)
		m.I("VMAXPS", x, acc[way], acc[way])
	})
	m.largestOf(acc)
	m.largest(acc[0])
	ordered := m.NewLabel("ordered")
	m.I("VTESTPS", nan, nan)
	m.I("JZ", ordered)
	m.I("MOVL", Imm(0x7fc00000), "(DX)")
	m.Label(ordered)
	m.Return()
}

// largest stores the largest of eight lanes to *result, which DX points to then.
func (m machineAVX2) largest(y string) {
	m.topLane(y)
	m.I("MOVQ", m.Arg("result"), "DX")
	m.I("VMOVSS", low(y), "(DX)")
}

// topLane puts the largest of eight lanes into the first.
func (m machineAVX2) topLane(y string) {
	top := low(y)
	m.I("VEXTRACTF128", Imm(1), y, "X15")
	m.I("VMAXPS", "X15", top, top)
	m.I("VPERMILPS", Imm(0x4e), top, "X15") // swap pairs
	m.I("VMAXPS", "X15", top, top)
	m.I("VPERMILPS", Imm(0xb1), top, "X15") // swap neighbors
	m.I("VMAXPS", "X15", top, top)
}

func (m machineAVX2) conversion(body func()) {
	m.I("MOVQ", m.Arg("dst"), "DI")
	m.I("MOVQ", m.Arg("src"), "SI")
	m.I("MOVQ", m.Arg("n"), "CX")
	m.I("XORQ", "AX", "AX")
	loop, end := m.NewLabel("loop"), m.NewLabel("end")
	m.I("CMPQ", "AX", "CX")
	m.I("JGE", end)
	m.Label(loop)
	body()
	m.I("ADDQ", Imm(8), "AX")
	m.I("CMPQ", "AX", "CX")
	m.I("JLT", loop)
	m.Label(end)
}

func (m machineAVX2) fromBF16() {
	m.I("VPMOVZXWD", Idx(0, "SI", "AX", 2), "Y0")
	m.I("VPSLLD", Imm(16), "Y0", "Y0")
	m.I("VMOVUPS", "Y0", Idx(0, "DI", "AX", 4))
}

func (m machineAVX2) fromF16() {
	m.I("VCVTPH2PS", Idx(0, "SI", "AX", 2), "Y0")
	m.I("VMOVUPS", "Y0", Idx(0, "DI", "AX", 4))
}

func (m machineAVX2) toF16() {
	m.I("VMOVUPS", Idx(0, "SI", "AX", 4), "Y0")
	m.I("VCVTPS2PH", Imm(0), "Y0", Idx(0, "DI", "AX", 2))
}

func (m machineAVX2) toBF16() {
	m.I("VMOVUPS", Idx(0, "SI", "AX", 4), "Y0")
	m.I("VPSRLD", Imm(16), "Y0", "Y1")
	m.I("VPAND", m.bits("oneBit", 1), "Y1", "Y2")
	m.I("VPADDD", m.bits("belowTie", 0x7fff), "Y0", "Y3")
	m.I("VPADDD", "Y3", "Y2", "Y2")
	m.I("VPSRLD", Imm(16), "Y2", "Y2")
	m.I("VPOR", m.bits("quietBit", 0x40), "Y1", "Y1")
	m.I("VCMPPS", Imm(3), "Y0", "Y0", "Y0") // unordered: NaN
	m.I("VBLENDVPS", "Y0", "Y1", "Y2", "Y2")
	m.I("VEXTRACTI128", Imm(1), "Y2", "X1")
	m.I("VPACKUSDW", "X1", "X2", "X2")
	m.I("VMOVDQU", "X2", Idx(0, "DI", "AX", 2))
}

// others also writes the words from which the tail's mask is loaded.
func (m machineAVX2) others() {
	m.blocks()
	m.heads("Y0", "Y1")
	m.fetch()
	m.weighing(m)
	m.rows()
	m.headsDispatch()
	m.narrowHeadsDispatch()
	for i := range 16 {
		word := uint32(0)
		if i < 8 {
			word = math.MaxUint32
		}
		fmt.Fprintf(&m.data, "DATA tailMask<>+%d(SB)/4, $0x%08x\n", 4*i, word)
	}
	fmt.Fprintf(&m.data, "GLOBL tailMask<>(SB), RODATA|NOPTR, $64\n")
}
