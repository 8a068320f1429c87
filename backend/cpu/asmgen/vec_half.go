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
	v.Go(strings.NewReplacer("NAME", name, "TO", to, "FROM", from, "LEVEL", v.level()).Replace(`func NAME(dst []TO, src []FROM) {
	if !useLEVEL {
		NAMEGo(dst, src)
		return
	}
	for len(dst) > piece {
		NAME(dst[:piece], src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	n := len(dst) &^ 7
	NAMELEVEL(unsafe.SliceData(dst), unsafe.SliceData(src), n)
	NAMEGo(dst[n:], src[n:])
}`))
	v.Func(name+v.level(), fmt.Sprintf("%s%s is %sGo; n is a multiple of 8.", name, v.level(), name),
		Arg{"dst", "*" + to}, Arg{"src", "*" + from}, Arg{"n", "int"})
	v.conversion(body)
	v.Return()
}
