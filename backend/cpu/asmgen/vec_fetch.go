package main

// fetchLine is the bytes between the addresses that a routine asks for; lines of some processors are longer.
const fetchLine = 64

// openFetch begins the routine of fetch.go.
func (v *vec) openFetch() (row, line string) {
	v.Func("fetch", "fetch asks for rows of so many bytes, step bytes from each to the next.",
		Arg{"x", "*byte"}, Arg{"rows", "int"}, Arg{"bytes", "int"}, Arg{"step", "int"})
	return v.NewLabel("row"), v.NewLabel("line")
}

func (m machineAVX2) fetch() {
	row, line := m.openFetch()
	m.I("MOVQ", m.Arg("x"), "SI")
	m.I("MOVQ", m.Arg("rows"), "CX")
	m.I("MOVQ", m.Arg("bytes"), "BX")
	m.I("MOVQ", m.Arg("step"), "DX")
	m.Label(row)
	m.I("MOVQ", "SI", "DI")
	m.I("LEAQ", Idx(0, "SI", "BX", 1), "R8")
	m.Label(line)
	m.I("PREFETCHT1", Mem(0, "DI"))
	m.I("ADDQ", Imm(fetchLine), "DI")
	m.I("CMPQ", "DI", "R8")
	m.I("JLT", line)
	m.I("ADDQ", "DX", "SI")
	m.I("DECQ", "CX")
	m.I("JNE", row)
	m.Return()
}

func (m machineNEON) fetch() {
	row, line := m.openFetch()
	m.I("MOVD", m.Arg("x"), "R0")
	m.I("MOVD", m.Arg("rows"), "R1")
	m.I("MOVD", m.Arg("bytes"), "R2")
	m.I("MOVD", m.Arg("step"), "R3")
	m.Label(row)
	m.I("MOVD", "R0", "R4")
	m.I("MOVD", "R2", "R5")
	m.Label(line)
	m.I("PRFM", Mem(0, "R4"), "PLDL1KEEP")
	m.I("ADD", Imm(fetchLine), "R4", "R4")
	m.I("SUBS", Imm(fetchLine), "R5", "R5")
	m.I("BGT", line)
	m.I("ADD", "R3", "R0", "R0")
	m.I("SUBS", Imm(1), "R1", "R1")
	m.I("BNE", row)
	m.Return()
}
