package main

import (
	"slices"
	"strings"
)

// machineAVX512 is that of AVX-512 (F, VL, DQ and BW). Its instructions are AVX2's, on registers of 512 bits, with
// constants of one word that are broadcast on the way (see I). K1 is the mask of the tail, K2 and up are the ways' own.
//
// What is element by element has sixteen lanes. Sums have the bits of AVX2 and so its order: what AVX2 adds up in two
// registers of four float64 is here one of eight.
type machineAVX512 struct {
	machineAVX2
	float32s int    // in a vector, 16, or 8 where AVX2's order is kept
	letter   string // of its registers, Z, or Y for eight float32 that stay such
	apart    bool   // a vector is half of one group of AVX2 and half of the next (see expSum)
}

// expGroup is the elements whose exponentials AVX2 adds in float32.
const expGroup = 24

func (machineAVX512) level() string           { return "AVX512" }
func (machineAVX512) instructions() string    { return "AVX-512" }
func (m machineAVX512) lanes() int            { return m.float32s }
func (m machineAVX512) register(i int) string { return m.letter + X(i)[1:] }
func (machineAVX512) registers() int          { return 32 }

// ymm is the lower half of a register, zmm the whole.
func ymm(z string) string { return "Y" + z[1:] }
func zmm(y string) string { return "Z" + y[1:] }

// I writes an instruction. AVX-512 has a constant of equal words once in memory, and other names for what is done with bits.
func (v *vec) I(op string, operands ...string) {
	if v.written != nil {
		single := slices.ContainsFunc(operands, func(operand string) bool { return v.single[operand] })
		zmm := slices.ContainsFunc(operands, func(operand string) bool { return strings.HasPrefix(operand, "Z") })
		switch {
		case single && op == "VMOVUPS":
			op = "VBROADCASTSS"
		case single || zmm:
			if name, ok := map[string]string{"VPAND": "VPANDD", "VPOR": "VPORD", "VMOVDQU": "VMOVDQU32"}[op]; ok {
				op = name
			}
			if single {
				op += ".BCST"
			}
		}
	}
	v.File.I(op, operands...)
}

// routinesAVX512 writes those that can gain. Divisions and square roots are as many a cycle in 512 bits as in 256, and
// AdamW waits for them and for memory: div and adamw stay in AVX2.
func (v *vec) routinesAVX512() {
	v.written, v.narrow = map[string]bool{"dotHeads": true, "addHeads": true}, "div"
	sixteen := machineAVX512{machineAVX2{v}, 16, "Z", false}
	v.machine = sixteen
	v.arithmetic()
	v.rotations()
	v.exponentials()
	v.conversions()
	v.roundWhole(sixteen)
	v.maximum()
	v.others()
	v.machine = machineAVX512{machineAVX2{v}, 8, "Z", false}
	v.reductions()
	v.define()
}

// loops masks the tail. Where vectors lie apart it takes two groups of AVX2 at a time, and AVX2's steps for the rest.
func (m machineAVX512) loops(ways int, group func(ways int)) {
	m.I("XORQ", "AX", "AX")
	if m.apart {
		m.while(m.float32s*ways, func() { group(ways) })
		m.machine = machineAVX512{m.machineAVX2, 8, "Y", false}
		for name, register := range m.scalars {
			m.scalars[name] = ymm(register)
		}
	}
	for _, width := range widths(ways) {
		m.while(m.vec.lanes()*width, func() { group(width) })
	}
	if len(m.narrows) > 0 && m.float32s == 8 {
		return
	}
	end := m.NewLabel("end")
	m.I("SUBQ", "AX", "CX")
	m.I("JZ", end)
	m.I("MOVL", Imm(1), "DX")
	m.I("SHLL", "CX", "DX")
	m.I("DECL", "DX")
	m.I("KMOVW", "DX", "K1")
	m.masked = true
	group(1)
	m.masked = false
	m.Label(end)
}

// grouped is the machine for sums of AVX2's groups of three vectors.
func (m machineAVX512) grouped() machine { return machineAVX512{m.machineAVX2, 16, "Z", true} }

func (m machineAVX512) loadFrom(slice string, offset int, to string) {
	p := m.pointers[slice]
	switch {
	case m.isNarrow(slice):
		m.widenFrom(slice, offset, to)
	case m.apart:
		m.I("VMOVUPS", Idx(4*offset/2, p, "AX", 4), ymm(to))
		m.I("VINSERTF32X8", Imm(1), Idx(4*(expGroup+offset/2), p, "AX", 4), to, to)
	case m.masked:
		m.I("VMOVUPS.Z", Idx(4*offset, p, "AX", 4), "K1", to)
	default:
		m.I("VMOVUPS", Idx(4*offset, p, "AX", 4), to)
	}
}

func (m machineAVX512) storeTo(from, slice string, offset int) {
	p := m.pointers[slice]
	switch {
	case m.isNarrow(slice):
		m.narrowTo(from, slice, offset)
	case m.apart:
		m.I("VMOVUPS", ymm(from), Idx(4*offset/2, p, "AX", 4))
		m.I("VEXTRACTF32X8", Imm(1), from, Idx(4*(expGroup+offset/2), p, "AX", 4))
	case m.masked:
		m.I("VMOVUPS", from, "K1", Idx(4*offset, p, "AX", 4))
	default:
		m.I("VMOVUPS", from, Idx(4*offset, p, "AX", 4))
	}
}

func (m machineAVX512) clear(to string) { m.I("VXORPS", low(to), low(to), low(to)) }

// copySign takes the bit of sign from x, and others from to.
func (m machineAVX512) copySign(x, to, _ string) {
	m.I("VPTERNLOGD", Imm(0xf8), m.bits("signBit", 1<<31), x, to) // to | x & sign
}

// flags is the mask register of the way whose code is now written.
func (m machineAVX512) flags() string { return K(2 + m.way) }

func (m machineAVX512) zeroBelow(x, least, to, _ string) {
	m.I("VCMPPS", Imm(5), least, x, m.flags()) // not less
	m.I("VMOVAPS.Z", to, m.flags(), to)
}

func (m machineAVX512) mulNotBelow(x, least, factor, to, _ string) {
	m.I("VCMPPS", Imm(5), least, x, m.flags()) // not less
	m.I("VMULPS.Z", factor, to, m.flags(), to)
}

func (m machineAVX512) mulBeyond(x, most, factor, to, _, _ string) {
	m.I("VCMPPS", Imm(6), most, x, m.flags()) // not less or equal
	m.I("VMULPS", factor, x, m.flags(), to)
}

func (m machineAVX512) clearTail(x string) { m.I("VMOVAPS.Z", x, "K1", x) }

// wides is 1 where a register of float64 has as many lanes as a vector of float32.
func (m machineAVX512) wides() int {
	if m.letter == "Z" && m.float32s == 8 {
		return 1
	}
	return 2
}

func (m machineAVX512) widen(slice string, offset, _ int, to string) {
	if m.isNarrow(slice) {
		m.widenFrom(slice, offset, ymm(to))
		m.I("VCVTPS2PD", ymm(to), to)
	} else if m.masked {
		m.I("VCVTPS2PD.Z", Idx(4*offset, m.pointers[slice], "AX", 4), "K1", to)
	} else {
		m.I("VCVTPS2PD", Idx(4*offset, m.pointers[slice], "AX", 4), to)
	}
}

// accumulate adds four lanes after four to AVX2's one register.
func (m machineAVX512) accumulate(x, scratch, to string) {
	for eight := range m.float32s / 8 {
		if eight > 0 {
			m.I("VEXTRACTF32X8", Imm(1), x, ymm(x))
		}
		m.I("VCVTPS2PD", ymm(x), zmm(scratch))
		m.I("VADDPD", ymm(scratch), ymm(to), ymm(to))
		m.I("VEXTRACTF64X4", Imm(1), zmm(scratch), ymm(scratch))
		m.I("VADDPD", ymm(scratch), ymm(to), ymm(to))
	}
}

// parts are AVX2's registers of four.
func (m machineAVX512) parts(sums []string) (all []string) {
	for _, sum := range sums {
		all = append(all, ymm(sum))
		if m.letter == "Z" {
			upper := ymm(m.temp())
			m.I("VEXTRACTF64X4", Imm(1), sum, upper)
			all = append(all, upper)
		}
	}
	return all
}

// maximum compares two vectors with each other, which finds a NaN in either, and keeps the lanes that did in K2.
func (m machineAVX512) maximum() {
	const ways = 4
	m.open(routine{name: "maximum", ins: words("x"), result: "float32", initial: "-inf", combine: "max(total, %s)"})
	var acc, x [ways]string
	for i := range acc {
		acc[i] = m.temp()
		m.I("VMOVUPS", m.bits("minusInf", 0xff800000), acc[i])
	}
	m.I("KXORW", "K2", "K2", "K2")
	m.runGroups(ways, func(way, offset int) {
		x[way] = m.temp()
		m.loadFrom("x", offset, x[way])
		if m.masked {
			m.I("VMAXPS", x[way], acc[way], "K1", acc[way])
		} else {
			m.I("VMAXPS", x[way], acc[way], acc[way])
		}
	}, func(ways int) {
		for i := 0; i < ways; i += 2 {
			m.I("VCMPPS", Imm(3), x[i], x[min(i+1, ways-1)], "K3") // unordered
			m.I("KORW", "K3", "K2", "K2")
		}
	})
	m.largestOf(acc[:])
	m.I("VEXTRACTF32X8", Imm(1), acc[0], ymm(acc[1]))
	m.I("VMAXPS", ymm(acc[1]), ymm(acc[0]), ymm(acc[0]))
	m.largest(ymm(acc[0]))
	ordered := m.NewLabel("ordered")
	m.I("KORTESTW", "K2", "K2")
	m.I("JZ", ordered)
	m.I("MOVL", Imm(0x7fc00000), "(DX)")
	m.Label(ordered)
	m.Return()
}

// conversion's body converts sixteen elements.
func (m machineAVX512) conversion(body func()) {
	m.pointers = map[string]string{"dst": "DI", "src": "SI"}
	m.scalars, m.unused = map[string]string{}, 4
	for _, s := range []string{"dst", "src"} {
		m.I("MOVQ", m.Arg(s), m.pointers[s])
	}
	m.I("MOVQ", m.Arg("n"), "CX")
	m.hoist(body)
	m.loops(1, func(int) { body() })
}

// load16 writes an instruction that widens sixteen elements of 16 bits; store16 stores a register of them.
func (m machineAVX512) load16(op, to string) {
	if at := Idx(0, "SI", "AX", 2); m.masked {
		m.I(op+".Z", at, "K1", to)
	} else {
		m.I(op, at, to)
	}
}

func (m machineAVX512) store16(from string, offset int) {
	if at := Idx(2*offset, "DI", "AX", 2); m.masked {
		m.I("VMOVDQU16", from, "K1", at)
	} else {
		m.I("VMOVDQU", from, at)
	}
}

func (m machineAVX512) fromBF16() {
	m.load16("VPMOVZXWD", "Z0")
	m.I("VPSLLD", Imm(16), "Z0", "Z0")
	m.storeTo("Z0", "dst", 0)
}

func (m machineAVX512) fromF16() {
	m.load16("VCVTPH2PS", "Z0")
	m.storeTo("Z0", "dst", 0)
}

func (m machineAVX512) toF16() {
	m.loadFrom("src", 0, "Z0")
	m.I("VCVTPS2PH", Imm(0), "Z0", "Y0")
	m.store16("Y0", 0)
}

// toBF16 is no VCVTNEPS2BF16, which makes zeros of denormal numbers (see roundWhole).
func (m machineAVX512) toBF16() {
	m.loadFrom("src", 0, "Z0")
	m.roundWords("Z0", "Z2", "Z1", "Z3")
	m.store16("Y2", 0)
}

// roundWords rounds sixteen numbers in integers, into the lower half of to.
func (m machineAVX512) roundWords(x, to, upper, sum string) {
	m.I("VPSRLD", Imm(16), x, upper)
	m.I("VPAND", m.bits("oneBit", 1), upper, to)
	m.I("VPADDD", m.bits("belowTie", 0x7fff), x, sum)
	m.I("VPADDD", sum, to, to)
	m.I("VPSRLD", Imm(16), to, to)
	m.I("VCMPPS", Imm(3), x, x, "K2") // unordered: NaN
	m.I("VPOR", m.bits("quietBit", 0x40), upper, "K2", to)
	m.I("VPMOVDW", to, ymm(to))
}

func (m machineAVX512) others() {
	m.heads("Z0")
	m.blocks()
	m.weighing(m)
	m.weighingBF16(m)
	m.rows()
}
