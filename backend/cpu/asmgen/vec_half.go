package main

import (
	"fmt"
	"strings"
)

// conversions writes the loops of half.go over whole vectors; the Go loop, whose
// results have the same bits, does the tail.
func (v *vec) conversions() {
	v.convert("fromBF16", "float32", "uint16", func() {
		v.I("VPMOVZXWD", Idx(0, "SI", "AX", 2), "Y0")
		v.I("VPSLLD", Imm(16), "Y0", "Y0")
		v.I("VMOVUPS", "Y0", Idx(0, "DI", "AX", 4))
	})
	v.convert("fromF16", "float32", "uint16", func() {
		v.I("VCVTPH2PS", Idx(0, "SI", "AX", 2), "Y0")
		v.I("VMOVUPS", "Y0", Idx(0, "DI", "AX", 4))
	})
	v.convert("toF16", "uint16", "float32", func() {
		v.I("VMOVUPS", Idx(0, "SI", "AX", 4), "Y0")
		v.I("VCVTPS2PH", Imm(0), "Y0", Idx(0, "DI", "AX", 2))
	})
	v.convert("toBF16", "uint16", "float32", func() {
		v.I("VMOVUPS", Idx(0, "SI", "AX", 4), "Y0")
		v.I("VPSRLD", Imm(16), "Y0", "Y1")
		v.I("VPAND", v.bits("oneBit", 1), "Y1", "Y2")
		v.I("VPADDD", v.bits("belowTie", 0x7fff), "Y0", "Y3")
		v.I("VPADDD", "Y3", "Y2", "Y2")
		v.I("VPSRLD", Imm(16), "Y2", "Y2")
		v.I("VPOR", v.bits("quietBit", 0x40), "Y1", "Y1")
		v.I("VCMPPS", Imm(3), "Y0", "Y0", "Y0") // unordered: NaN
		v.I("VBLENDVPS", "Y0", "Y1", "Y2", "Y2")
		v.I("VEXTRACTI128", Imm(1), "Y2", "X1")
		v.I("VPACKUSDW", "X1", "X2", "X2")
		v.I("VMOVDQU", "X2", Idx(0, "DI", "AX", 2))
	})
}

// convert writes a loop whose body converts the 8 elements at AX.
func (v *vec) convert(name, to, from string, body func()) {
	v.Go(strings.NewReplacer("NAME", name, "TO", to, "FROM", from).Replace(`func NAME(dst []TO, src []FROM) {
	if !useAVX2 {
		NAMEGo(dst, src)
		return
	}
	for len(dst) > piece {
		NAME(dst[:piece], src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	n := len(dst) &^ 7
	NAMEAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), n)
	NAMEGo(dst[n:], src[n:])
}`))
	v.Func(name+"AVX2", fmt.Sprintf("%sAVX2 is %sGo; n is a multiple of 8.", name, name),
		Arg{"dst", "*" + to}, Arg{"src", "*" + from}, Arg{"n", "int"})
	v.I("MOVQ", v.Arg("dst"), "DI")
	v.I("MOVQ", v.Arg("src"), "SI")
	v.I("MOVQ", v.Arg("n"), "CX")
	v.I("XORQ", "AX", "AX")
	loop, end := v.NewLabel("loop"), v.NewLabel("end")
	v.I("CMPQ", "AX", "CX")
	v.I("JGE", end)
	v.Label(loop)
	body()
	v.I("ADDQ", Imm(8), "AX")
	v.I("CMPQ", "AX", "CX")
	v.I("JLT", loop)
	v.Label(end)
	v.Return()
}
