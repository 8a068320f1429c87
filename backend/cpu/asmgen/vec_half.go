package main

import (
	"fmt"
	"strings"
)

// conversions writes the loops of half.go over whole vectors; the Go loop, whose
// results have the same bits, does the tail.
func (v *vec) conversions() {
	v.convert("fromBF16", "float32", "uint16", v.fromBF16)
	v.convert("fromF16", "float32", "uint16", v.fromF16)
	v.convert("toF16", "uint16", "float32", v.toF16)
	v.convert("toBF16", "uint16", "float32", v.toBF16)
}

// convert writes a loop whose body converts 8 elements.
func (v *vec) convert(name, to, from string, body func()) {
	rounding := ""
	if v.wide != nil && name == "toBF16" {
		rounding = "if useAVX512 && useAVX512BF16 {\n" + name + "AVX512BF16(unsafe.SliceData(dst), unsafe.SliceData(src), len(dst))\nreturn\n}\n"
	}
	text := strings.NewReplacer("NAME", name, "ROUNDING", rounding, "TO", to, "FROM", from, "LEVEL", v.level(), "PREFERRED",
		v.preferred(name, "unsafe.SliceData(dst), unsafe.SliceData(src), len(dst)", "return")).Replace(`func NAME(dst []TO, src []FROM) {
	if !useLEVEL {
		NAMEGo(dst, src)
		return
	}
	for len(dst) > piece {
		NAME(dst[:piece], src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	ROUNDINGPREFERREDn := len(dst) &^ 7
	NAMELEVEL(unsafe.SliceData(dst), unsafe.SliceData(src), n)
	NAMEGo(dst[n:], src[n:])
}`)
	doc := fmt.Sprintf("%s%s is %sGo; n is a multiple of 8.", name, v.level(), name)
	if v.written == nil {
		v.Go(text)
	} else {
		v.written[name] = true
		doc = fmt.Sprintf("%s%s is %sGo.", name, v.level(), name)
	}
	v.Func(name+v.level(), doc,
		Arg{"dst", "*" + to}, Arg{"src", "*" + from}, Arg{"n", "int"})
	v.conversion(body)
	v.Return()
}

// roundWhole writes toBF16 with the instruction of AVX512_BF16, which makes zeros of denormal numbers: a group of vectors that
// has such is rounded as toBF16AVX512 does.
func (v *vec) roundWhole(m machineAVX512) {
	const name = "toBF16AVX512BF16"
	v.Func(name, name+" is toBF16Go, with AVX512_BF16.", Arg{"dst", "*uint16"}, Arg{"src", "*float32"}, Arg{"n", "int"})
	m.pointers = map[string]string{"dst": "DI", "src": "SI"}
	v.scalars, v.unused = map[string]string{}, 8
	for _, s := range []string{"dst", "src"} {
		v.I("MOVQ", v.Arg(s), m.pointers[s])
	}
	v.I("MOVQ", v.Arg("n"), "CX")
	type group struct {
		ways         int
		masked       bool
		slow, stored string
	}
	var groups []group
	m.loops(2, func(ways int) {
		g := group{ways, m.masked, v.NewLabel("denormal"), v.NewLabel("rounded")}
		groups = append(groups, g)
		for i := range ways {
			m.loadFrom("src", 16*i, Z(i))
			v.I("VFPCLASSPSZ", Imm(0x20), Z(i), K(2+i))
		}
		v.I("KORTESTW", K(2), K(1+ways))
		v.I("JNZ", g.slow)
		if ways == 2 {
			v.round32(0, 1, 2)
			v.Label(g.stored)
			v.I("VMOVDQU32", Z(2), Idx(0, "DI", "AX", 2))
			return
		}
		v.round16(0, 2)
		v.Label(g.stored)
		m.store16(Y(2), 0)
	})
	v.Return()
	for _, g := range groups {
		v.Label(g.slow)
		for i := range g.ways {
			m.roundWords(Z(i), Z(2+i), Z(4), Z(5))
		}
		if g.ways == 2 {
			v.I("VINSERTI64X4", Imm(1), Y(3), Z(2), Z(2))
		}
		v.I("JMP", g.stored)
	}
}
