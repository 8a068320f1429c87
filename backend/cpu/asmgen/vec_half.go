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
	text := strings.NewReplacer("NAME", name, "TO", to, "FROM", from, "LEVEL", v.level(), "PREFERRED",
		v.preferred(name, "unsafe.SliceData(dst), unsafe.SliceData(src), len(dst)", "return")).Replace(`func NAME(dst []TO, src []FROM) {
	if !useLEVEL {
		NAMEGo(dst, src)
		return
	}
	for len(dst) > piece {
		NAME(dst[:piece], src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	PREFERREDn := len(dst) &^ 7
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
