package main

import (
	"fmt"
	"strings"
)

// rotations writes rope.go's rotation of all heads of a row. y1, y2, x1 and x2 are at the first head's halves of n elements, the
// next head's are 2n further on; cos and sin are all heads'.
func (v *vec) rotations() {
	r := routine{name: "rotate", outs: words("y1 y2"), ins: words("x1 x2 cos sin"), scalars: words("sign"), heads: true,
		narrows: words("y1 y2 x1 x2")}
	if v.written == nil {
		var data []string
		for _, s := range r.slices() {
			data = append(data, "unsafe.SliceData("+s+")")
		}
		arguments := strings.Join(data, ", ") + ", sign, len(cos), heads"
		v.Go(strings.NewReplacer("LEVEL", v.level(), "ARGUMENTS", arguments).Replace(
			`func rotate(y1, y2, x1, x2, cos, sin []float32, sign float32, heads int) {
	if !useLEVEL {
		rotateGo(y1, y2, x1, x2, cos, sin, sign, heads)
		return
	}
	` + v.preferred(r.name, arguments, "return") + `rotateLEVEL(ARGUMENTS)
}`))
	}
	v.inStores(r, func(r routine) {
		v.elements(r, 2, func(x []string) []string {
			x1, x2, cos, sin, t := x[0], x[1], x[2], x[3], v.temp()
			v.mul(sin, v.scalars["sign"], sin)
			v.mul(sin, x2, t)
			v.mul(sin, x1, sin)
			v.addMul(cos, x2, sin)
			x1 = v.fms(x1, cos, t)
			v.release(x2)
			return []string{x1, sin}
		})
	})
}

func (m machineAVX2) eachHead(again func()) {
	bytes := m.bytes("x1")
	m.I("MOVQ", m.Arg("heads"), "R12")
	m.I("LEAQ", fmt.Sprintf("(CX*%d)", 2*bytes), "R13")
	head := m.NewLabel("head")
	m.Label(head)
	again()
	for _, s := range words("y1 y2 x1 x2") {
		m.I("ADDQ", "R13", m.pointers[s])
	}
	m.I("MOVQ", m.Arg("n"), "CX")
	m.I("DECQ", "R12")
	m.I("JNE", head)
}

// eachHead goes back with cos and sin, which loops take with them.
func (m machineNEON) eachHead(again func()) {
	m.I("MOVD", m.Arg("heads"), "R8")
	m.I("LSL", Imm(m.bytes("x1")/2), "R7", "R10")
	m.I("LSL", Imm(2), "R7", "R11")
	head := m.NewLabel("head")
	m.Label(head)
	again()
	for _, s := range words("y1 y2 x1 x2") {
		m.I("ADD", "R10", m.pointers[s], m.pointers[s])
	}
	for _, s := range words("cos sin") {
		m.I("SUB", "R11", m.pointers[s], m.pointers[s])
	}
	m.I("MOVD", m.Arg("n"), "R7")
	m.I("SUBS", Imm(1), "R8", "R8")
	m.I("BNE", head)
}
