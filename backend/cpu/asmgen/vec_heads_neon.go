package main

import "fmt"

func (m machineNEON) others() {
	m.blocks()
	m.heads()
	m.fetch()
	m.headsDispatch()
}

// heads writes the routines of heads.go, as machineAVX2's are, sixteen elements a step.
func (m machineNEON) heads() {
	m.overHeads("dotHeads", "q", "k", func() {
		for i := range 4 {
			m.clear(m.register(i))
		}
	}, func() {
		m.I("VLD1.P", "64(R5)", vectors(16, 4))
		m.I("VLD1.P", "64(R8)", vectors(20, 4))
		for i := range 4 {
			m.I("VFMLA", single(16+i), single(20+i), single(i))
		}
	}, func() {
		for _, add := range [][2]int{{0, 1}, {2, 3}, {0, 2}} {
			m.add(m.register(add[0]), m.register(add[1]), m.register(add[0]))
		}
		m.Word("faddp 4s", "V0", "V0", "V0")
		m.Word("faddp 4s", "V0", "V0", "V0")
		m.I("FMOVS", "F0", "(R4)")
	})
	m.overHeads("addHeads", "y", "v", func() { m.I("VLD1R", "(R4)", "[V0.S4]") }, func() {
		m.I("VLD1", "(R5)", vectors(16, 4))
		m.I("VLD1.P", "64(R8)", vectors(20, 4))
		for i := range 4 {
			m.I("VFMLA", single(20+i), "V0.S4", single(16+i))
		}
		m.I("VST1.P", vectors(16, 4), "64(R5)")
	}, func() {})
}

// overHeads writes a loop over rows (of keys or values, R8), their heads, and the heads of the query's side (R5) that
// share each; R4 is at a weight of the row and head.
func (m machineNEON) overHeads(name, one, many string, begin, step, end func()) {
	m.Func(name+"NEON", fmt.Sprintf("%sNEON is %sGo in NEON; dim is a multiple of 16.", name, name),
		Arg{"weights", "*float32"}, Arg{"apart", "int"}, Arg{one, "*float32"}, Arg{many, "*float32"}, Arg{"rows", "int"},
		Arg{"heads", "int"}, Arg{"group", "int"}, Arg{"dim", "int"})
	m.I("MOVD", m.Arg("weights"), "R0")
	m.I("MOVD", m.Arg("apart"), "R1")
	m.I("LSL", Imm(2), "R1", "R1")
	m.I("MOVD", m.Arg(many), "R2")
	m.I("MOVD", m.Arg("rows"), "R3")
	row, head, query, element := m.NewLabel("row"), m.NewLabel("head"), m.NewLabel("query"), m.NewLabel("element")
	m.Label(row)
	m.I("MOVD", "R0", "R4")
	m.I("MOVD", m.Arg(one), "R5")
	m.I("MOVD", m.Arg("heads"), "R6")
	m.Label(head)
	m.I("MOVD", m.Arg("group"), "R7")
	m.Label(query)
	m.I("MOVD", "R2", "R8")
	m.I("MOVD", m.Arg("dim"), "R9")
	begin()
	m.Label(element)
	step()
	m.I("SUBS", Imm(16), "R9", "R9")
	m.I("BNE", element)
	end()
	m.I("ADD", "R1", "R4", "R4")
	m.I("SUBS", Imm(1), "R7", "R7")
	m.I("BNE", query)
	m.I("MOVD", "R8", "R2")
	m.I("SUBS", Imm(1), "R6", "R6")
	m.I("BNE", head)
	m.I("ADD", Imm(4), "R0", "R0")
	m.I("SUBS", Imm(1), "R3", "R3")
	m.I("BNE", row)
	m.Return()
}
