package main

import (
	"fmt"
	"strings"
)

// blocks writes the loops of quant.go: a block of 32 numbers a turn, whose scale is
// widened and multiplied in Y0.
func (v *vec) blocks() {
	v.dequantize("fromQ8", 34, func() {
		for i := range 4 {
			v.quarter(i, Mem(2+8*i, "SI"))
		}
	})
	v.dequantize("fromQ4", 18, func() {
		v.I("VMOVDQU", Mem(2, "SI"), "X5")
		v.I("VPSRLW", Imm(4), "X5", "X6")
		for i, half := range []string{"X5", "X6"} {
			v.I("VPAND", v.bits("lowNibbles", 0x0f0f0f0f), half, half)
			v.I("VPSUBB", v.bits("eights", 0x08080808), half, half)
			v.quarter(2*i, half)
			v.I("VPSRLDQ", Imm(8), half, half)
			v.quarter(2*i+1, half)
		}
	})
}

// quarter widens eight signed bytes, times the scale, to the i-th quarter of the block.
func (v *vec) quarter(i int, from string) {
	v.I("VPMOVSXBD", from, "Y1")
	v.I("VCVTDQ2PS", "Y1", "Y1")
	v.I("VMULPS", "Y0", "Y1", "Y1")
	v.I("VMOVUPS", "Y1", Mem(32*i, "DI"))
}

// dequantize writes a loop whose body widens the block of the given size at SI to DI.
func (v *vec) dequantize(name string, size int, body func()) {
	v.Go(strings.NewReplacer("NAME", name, "SIZE", fmt.Sprint(size)).Replace(`func NAME(dst []float32, src []byte) {
	if !useAVX2 || len(dst) == 0 {
		NAMEGo(dst, src)
		return
	}
	for len(dst) > piece {
		NAME(dst[:piece], src[:piece/32*SIZE])
		dst, src = dst[piece:], src[piece/32*SIZE:]
	}
	NAMEAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(dst)/32)
}`))
	v.Func(name+"AVX2", fmt.Sprintf("%sAVX2 is %sGo for a positive number of blocks.", name, name),
		Arg{"dst", "*float32"}, Arg{"src", "*byte"}, Arg{"blocks", "int"})
	v.I("MOVQ", v.Arg("dst"), "DI")
	v.I("MOVQ", v.Arg("src"), "SI")
	v.I("MOVQ", v.Arg("blocks"), "CX")
	loop := v.NewLabel("loop")
	v.Label(loop)
	v.I("MOVWLZX", Mem(0, "SI"), "DX")
	v.I("VMOVD", "DX", "X0")
	v.I("VCVTPH2PS", "X0", "X0")
	v.I("VBROADCASTSS", "X0", "Y0")
	body()
	v.I("ADDQ", Imm(size), "SI")
	v.I("ADDQ", Imm(128), "DI")
	v.I("DECQ", "CX")
	v.I("JNZ", loop)
	v.Return()
}
