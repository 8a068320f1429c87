package main

import (
	"fmt"
	"strings"
)

// headsDispatch writes the Go functions that package vec calls.
func (v *vec) headsDispatch() {
	for _, names := range [][3]string{{"dotHeads", "q", "k"}, {"addHeads", "y", "v"}} {
		arguments := fmt.Sprintf("unsafe.SliceData(weights), apart, unsafe.SliceData(%s), unsafe.SliceData(%s), "+
			"s.Rows, s.Heads, s.Group, s.Dim", names[1], names[2])
		v.Go(strings.NewReplacer("NAME", names[0], "ONE", names[1], "MANY", names[2], "LEVEL", v.level(),
			"PREFERRED", v.preferred(names[0], arguments, "return"), "ARGUMENTS", arguments).Replace(
			`func NAME(weights []float32, apart int, ONE, MANY []float32, s HeadShape) {
	if !useLEVEL || s.Dim%16 != 0 {
		NAMEGo(weights, apart, ONE, MANY, s)
		return
	}
	PREFERREDNAMELEVEL(ARGUMENTS)
}`))
	}
}

// narrowHeadsDispatch writes those for keys and values in 16 bits, which report whether they have computed.
func (v *vec) narrowHeadsDispatch() {
	for _, names := range [][3]string{{"dotHeads", "q", "k"}, {"addHeads", "y", "v"}} {
		for _, s := range stores[1:] {
			name := names[0] + s.name
			arguments := fmt.Sprintf("unsafe.SliceData(weights), apart, unsafe.SliceData(%s), unsafe.Pointer(unsafe.SliceData(%s)), "+
				"s.Rows, s.Heads, s.Group, s.Dim", names[1], names[2])
			v.Go(strings.NewReplacer("NAME", name, "ONE", names[1], "MANY", names[2], "LEVEL", v.level(),
				"PREFERRED", v.preferred(name, arguments, "return true"), "ARGUMENTS", arguments).Replace(
				`func NAME(weights []float32, apart int, ONE []float32, MANY []uint16, s HeadShape) bool {
	if !useLEVEL || s.Dim%16 != 0 {
		return false
	}
	PREFERREDNAMELEVEL(ARGUMENTS)
	return true
}`))
		}
	}
}

// heads writes the routines of heads.go: what one query does with keys and values that lie one after the other, in float32 or
// in 16 bits, which are widened in registers. Sixteen elements at a time are in these registers of sums, one of AVX-512 or two of
// AVX2.
func (v *vec) heads(sums ...string) {
	bytes := 64 / len(sums)
	for _, s := range stores {
		load := func(i int) { v.load(s, Mem(s.bytes*bytes/4*i, "R8"), v.register(4+i)) }
		v.overHeads("dotHeads", "q", "k", s, sums, func(sum string) { v.I("VXORPS", sum, sum, sum) },
			func(i int, sum string) {
				load(i)
				v.I("VFMADD231PS", Mem(bytes*i, "BX"), v.register(4+i), sum)
			},
			func() {
				if len(sums) == 1 {
					v.I("VEXTRACTF32X8", Imm(1), sums[0], "Y1")
				}
				v.I("VADDPS", "Y1", "Y0", "Y0")
				v.I("VEXTRACTF128", Imm(1), "Y0", "X1")
				v.I("VADDPS", "X1", "X0", "X0")
				v.I("VHADDPS", "X0", "X0", "X0")
				v.I("VHADDPS", "X0", "X0", "X0")
				v.I("VMOVSS", "X0", Mem(0, "DI"))
			})
		v.overHeads("addHeads", "y", "v", s, sums, func(sum string) { v.I("VBROADCASTSS", Mem(0, "DI"), sum) },
			func(i int, weight string) {
				load(i)
				v.I("VFMADD213PS", Mem(bytes*i, "BX"), weight, v.register(4+i))
				v.I("VMOVUPS", v.register(4+i), Mem(bytes*i, "BX"))
			}, func() {})
	}
}

// overHeads writes a loop over rows (of keys or values, R8), their heads, and the heads of the query's side (BX) that
// share each; DI is a weight's element of the row and head. step takes the elements of one register.
func (v *vec) overHeads(name, one, many string, s store, sums []string, begin func(sum string), step func(i int, sum string), end func()) {
	elements, does := "*float32", fmt.Sprintf("is %sGo", name)
	if s.bytes == 2 {
		name, elements, does = name+s.name, "unsafe.Pointer", does+" of widened rows"
	}
	v.Func(name+v.level(), fmt.Sprintf("%s%s %s in %s; dim is a multiple of 16.", name, v.level(), does, v.instructions()),
		Arg{"weights", "*float32"}, Arg{"apart", "int"}, Arg{one, "*float32"}, Arg{many, elements}, Arg{"rows", "int"},
		Arg{"heads", "int"}, Arg{"group", "int"}, Arg{"dim", "int"})
	v.I("MOVQ", v.Arg("weights"), "SI")
	v.I("MOVQ", v.Arg("apart"), "R11")
	v.I("SHLQ", Imm(2), "R11")
	v.I("MOVQ", v.Arg(many), "R9")
	v.I("MOVQ", v.Arg("rows"), "R10")
	row, head, query, element := v.NewLabel("row"), v.NewLabel("head"), v.NewLabel("query"), v.NewLabel("element")
	v.Label(row)
	v.I("MOVQ", "SI", "DI")
	v.I("MOVQ", v.Arg(one), "BX")
	v.I("MOVQ", v.Arg("heads"), "R12")
	v.Label(head)
	v.I("MOVQ", v.Arg("group"), "R13")
	v.Label(query)
	v.I("MOVQ", "R9", "R8")
	v.I("MOVQ", v.Arg("dim"), "CX")
	for _, sum := range sums {
		begin(sum)
	}
	v.Label(element)
	for i, sum := range sums {
		step(i, sum)
	}
	v.I("ADDQ", Imm(64), "BX")
	v.I("ADDQ", Imm(16*s.bytes), "R8")
	v.I("SUBQ", Imm(16), "CX")
	v.I("JNE", element)
	end()
	v.I("ADDQ", "R11", "DI")
	v.I("DECQ", "R13")
	v.I("JNE", query)
	v.I("MOVQ", "R8", "R9")
	v.I("DECQ", "R12")
	v.I("JNE", head)
	v.I("ADDQ", Imm(4), "SI")
	v.I("DECQ", "R10")
	v.I("JNE", row)
	v.Return()
}
