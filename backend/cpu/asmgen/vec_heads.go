package main

import (
	"fmt"
	"strings"
)

// headsDispatch writes the Go functions that package vec calls.
func (v *vec) headsDispatch() {
	for _, names := range [][3]string{{"dotHeads", "q", "k"}, {"addHeads", "y", "v"}} {
		v.Go(strings.NewReplacer("NAME", names[0], "ONE", names[1], "MANY", names[2], "LEVEL", v.level()).Replace(
			`func NAME(weights []float32, apart int, ONE, MANY []float32, s HeadShape) {
	if !useLEVEL || s.Dim%16 != 0 {
		NAMEGo(weights, apart, ONE, MANY, s)
		return
	}
	NAMELEVEL(unsafe.SliceData(weights), apart, unsafe.SliceData(ONE), unsafe.SliceData(MANY), s.Rows, s.Heads, s.Group, s.Dim)
}`))
	}
}

// heads writes the routines of heads.go: what one query does with keys and values that lie one after the other.
func (v *vec) heads() {
	v.overHeads("dotHeads", "q", "k", func(sum string) { v.I("VXORPS", sum, sum, sum) },
		func(i int, sum string) {
			v.I("VMOVUPS", Mem(32*i, "BX"), Y(4+i))
			v.I("VFMADD231PS", Mem(32*i, "R8"), Y(4+i), sum)
		},
		func() {
			v.I("VADDPS", "Y1", "Y0", "Y0")
			v.I("VEXTRACTF128", Imm(1), "Y0", "X1")
			v.I("VADDPS", "X1", "X0", "X0")
			v.I("VHADDPS", "X0", "X0", "X0")
			v.I("VHADDPS", "X0", "X0", "X0")
			v.I("VMOVSS", "X0", Mem(0, "DI"))
		})
	v.overHeads("addHeads", "y", "v", func(sum string) { v.I("VBROADCASTSS", Mem(0, "DI"), sum) },
		func(i int, weight string) {
			v.I("VMOVUPS", Mem(32*i, "R8"), Y(4+i))
			v.I("VFMADD213PS", Mem(32*i, "BX"), weight, Y(4+i))
			v.I("VMOVUPS", Y(4+i), Mem(32*i, "BX"))
		}, func() {})
}

// overHeads writes a loop over rows (of keys or values, R8), their heads, and the heads of the query's side (BX) that
// share each; DI is a weight's element of the row and head. step takes eight elements.
func (v *vec) overHeads(name, one, many string, begin func(sum string), step func(i int, sum string), end func()) {
	v.Func(name+"AVX2", fmt.Sprintf("%sAVX2 is %sGo in AVX2 and FMA; dim is a multiple of 16.", name, name),
		Arg{"weights", "*float32"}, Arg{"apart", "int"}, Arg{one, "*float32"}, Arg{many, "*float32"}, Arg{"rows", "int"},
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
	begin("Y0")
	begin("Y1")
	v.Label(element)
	step(0, "Y0")
	step(1, "Y1")
	v.I("ADDQ", Imm(64), "BX")
	v.I("ADDQ", Imm(64), "R8")
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
