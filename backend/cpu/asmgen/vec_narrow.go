package main

import (
	"fmt"
	"strings"
)

// Routines of slices of 16 bits compute in float32 registers, as the others do: what they load is widened there, what they
// store rounded once, to nearest even. Their lengths are multiples of 8.

// isNarrow reports whether a slice of the open routine is of 16 bits.
func (v *vec) isNarrow(slice string) bool { return v.bytes(slice) == 2 }

// bytes are those of an element of a slice.
func (v *vec) bytes(slice string) int {
	if s, ok := v.narrows[slice]; ok {
		return s.bytes
	}
	return 4
}

// inStores writes a routine, and those whose narrow slices are of 16 bits, with their dispatch.
func (v *vec) inStores(r routine, write func(r routine)) {
	write(r)
	if r.narrows == nil {
		return
	}
	if v.written == nil {
		v.narrowDispatch(r)
	}
	for _, s := range stores[1:] {
		write(r.inStore(s))
	}
	v.narrows = nil
}

// narrowDispatch writes the Go function that package vec calls where slices are of 16 bits.
func (v *vec) narrowDispatch(r routine) {
	var params, heads, tails, data []string
	for _, s := range r.slices() {
		element := "float32"
		if r.inStore(stores[1]).isNarrow(s) {
			element = "uint16"
		}
		params = append(params, s+" []"+element)
		heads = append(heads, s+"[:piece]")
		tails = append(tails, s+"[piece:]")
		data = append(data, "unsafe.SliceData("+s+")")
	}
	first := r.slices()[0]
	for _, s := range r.scalars {
		params = append(params, s+" float32")
		heads = append(heads, s)
		data = append(data, s)
	}
	if r.heads {
		params = append(params, "heads int")
		data = append(data, "len(cos)", "heads")
	} else {
		data = append(data, "len("+first+")")
	}

	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p("func %sNarrow(h Half, %s) %s {", r.name, strings.Join(params, ", "), r.result)
	each := fmt.Sprintf("%sNarrow(h, %s)", r.name, strings.Join(heads, ", "))
	if r.result != "" {
		p("total, last := %s, %s", r.initial, r.initial)
		each = fmt.Sprintf("total = "+r.combine, each)
		data = append(data, "&last")
	}
	if !r.heads {
		p("for len(%s) > piece {\n%s\n%s = %s\n}", first, each, strings.Join(r.slices(), ", "), strings.Join(tails, ", "))
	}
	p("switch {")
	for _, of := range []*vec{v.wide, v} {
		for _, s := range stores[1:] {
			if of != nil {
				p("case %sh == %s:\n%s%s%s(%s)", map[bool]string{true: "useAVX512 && "}[of == v.wide], s.name, r.name, s.name, of.level(),
					strings.Join(data, ", "))
			}
		}
	}
	p("}")
	if r.result != "" {
		p("return "+r.combine, "last")
	}
	p("}")
	v.Go(b.String())
}

// widenFrom loads numbers of 16 bits, as many as the register has words.
func (m machineAVX2) widenFrom(slice string, offset int, to string) {
	m.load(m.narrows[slice], Idx(2*offset, m.pointers[slice], "AX", 2), to)
}

// narrowTo rounds a vector, which it gives up. A result of arithmetic that is NaN is a quiet one: its upper half is, too.
func (m machineAVX2) narrowTo(x, slice string, offset int) {
	at := Idx(2*offset, m.pointers[slice], "AX", 2)
	if m.narrows[slice].name == "F16" {
		m.I("VCVTPS2PH", Imm(0), x, at)
		return
	}
	y, t := m.temp(), m.temp()
	m.I("VPSRLD", Imm(16), x, y)
	m.I("VPAND", m.bits("oneBit", 1), y, y)
	m.I("VPADDD", m.bits("belowTie", 0x7fff), y, y)
	m.I("VCMPPS", Imm(7), x, x, t) // ordered: no NaN
	m.I("VPAND", t, y, y)
	m.I("VPADDD", x, y, y)
	m.I("VPSRLD", Imm(16), y, y)
	m.I("VEXTRACTI128", Imm(1), y, low(t))
	m.I("VPACKUSDW", low(t), low(y), low(y))
	m.I("VMOVDQU", low(y), at)
	m.release(y, t)
}

func (m machineAVX512) widenFrom(slice string, offset int, to string) {
	at := Idx(2*offset, m.pointers[slice], "AX", 2)
	switch s := m.narrows[slice]; {
	case !m.masked:
		m.load(s, at, to)
	case s.name == "F16":
		m.I("VCVTPH2PS.Z", at, "K1", to)
	default:
		m.I("VPMOVZXWD.Z", at, "K1", to)
		m.I("VPSLLD", Imm(16), to, to)
	}
}

func (m machineAVX512) narrowTo(x, slice string, offset int) {
	at := Idx(2*offset, m.pointers[slice], "AX", 2)
	if m.narrows[slice].name == "F16" {
		m.I("VCVTPS2PH", Imm(0), x, ymm(x))
	} else {
		y := m.temp()
		m.I("VPSRLD", Imm(16), x, y)
		m.I("VPAND", m.bits("oneBit", 1), y, y)
		m.I("VPADDD", m.bits("belowTie", 0x7fff), y, y)
		m.I("VCMPPS", Imm(7), x, x, m.flags()) // ordered: no NaN
		m.I("VPADDD", y, x, m.flags(), x)
		m.I("VPERMW", x, m.upperWords(), x)
		m.release(y)
	}
	if m.masked {
		m.I("VMOVDQU16", ymm(x), "K1", at)
	} else {
		m.I("VMOVDQU", ymm(x), at)
	}
}

// upperWords is the numbers of a register's upper words, which VPERMW wants in a register.
func (m machineAVX512) upperWords() string {
	if register, ok := m.scalars["upperWords"]; ok {
		return register
	}
	var numbers [16]uint32
	for i := range uint32(8) {
		numbers[i] = 4*i + 1 | (4*i+3)<<16
	}
	return m.table("upperWords", numbers[:]...)
}

// widenLow widens four numbers of 16 bits in the lower half of a register.
func (m machineNEON) widenLow(slice, x string) {
	if m.narrows[slice].name == "F16" {
		m.Word("fcvtl 4s 4h", x, x)
	} else {
		m.Word("shll 4s 4h #16", x, x)
	}
}

func (m machineNEON) narrowTo(x, slice string, offset int) {
	y := m.temp()
	if m.narrows[slice].name == "F16" {
		m.Word("fcvtn 4h 4s", y, x)
	} else {
		t := m.temp()
		m.I("VUSHR", Imm(16), singles(x), singles(y))
		m.I("VAND", all16(m.bits("oneBit", 1)), all16(y), all16(y))
		m.addInt(y, m.bits("belowTie", 0x7fff), y)
		m.addInt(y, x, y)
		m.Word("fcmeq 4s", t, x, x) // not NaN
		m.I("VBIF", all16(t), all16(x), all16(y))
		m.I("VUZP2", y+".H8", y+".H8", y+".H8")
		m.release(t)
	}
	m.I("FMOVD", scalarOf(y), Mem(2*offset, m.pointers[slice]))
	m.release(y)
}
