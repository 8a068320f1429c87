package main

// rows writes the routines of rows.go, loops over rows around what would be a call for each, which takes as long as its work.
func (v *vec) rows() {
	v.scaleRows()
	v.clearRows()
}

func (v *vec) scaleRows() {
	v.scaleRowsTo("scaleRows", "*float32")
	if v.written == nil {
		return
	}
	for _, s := range stores[1:] { // what others round a row at a time
		v.narrows = map[string]store{"dst": s}
		v.scaleRowsTo("scale"+s.name+"Rows", "*uint16")
		v.narrows = nil
	}
}

func (v *vec) scaleRowsTo(name, element string) {
	v.openRows(name, Arg{"dst", element}, Arg{"apart", "int"}, Arg{"x", "*float32"}, Arg{"from", "int"}, Arg{"n", "int"},
		Arg{"alpha", "*float32"}, Arg{"rows", "int"})
	for i, arg := range words("dst x apart from alpha rows") {
		v.I("MOVQ", v.Arg(arg), words("DI SI R8 R9 R11 R10")[i])
	}
	v.pointers = map[string]string{"dst": "DI", "x": "SI"}
	alpha := v.last("alpha")
	row := v.NewLabel("row")
	v.Label(row)
	v.I("VBROADCASTSS", Mem(0, "R11"), alpha)
	v.I("MOVQ", v.Arg("n"), "CX")
	v.run(4, func(_, offset int) {
		x := v.temp()
		v.loadFrom("x", offset, x)
		v.mul(x, alpha, x)
		v.storeTo(x, "dst", offset)
	})
	v.I("ADDQ", "R8", "DI")
	v.I("ADDQ", "R9", "SI")
	v.I("ADDQ", Imm(4), "R11")
	v.I("DECQ", "R10")
	v.I("JNE", row)
	v.Return()
}

func (v *vec) clearRows() {
	v.openRows("clearRows", Arg{"x", "*float32"}, Arg{"apart", "int"}, Arg{"counts", "*int"}, Arg{"rows", "int"}, Arg{"n", "int"})
	for i, arg := range words("x apart counts rows") {
		v.I("MOVQ", v.Arg(arg), words("SI R8 R9 R10")[i])
	}
	v.pointers = map[string]string{"x": "DI"}
	zero := v.temp()
	v.clear(zero)
	row := v.NewLabel("row")
	v.Label(row)
	v.I("MOVQ", Mem(0, "R9"), "BX")
	v.I("LEAQ", Idx(0, "SI", "BX", 4), "DI")
	v.I("MOVQ", v.Arg("n"), "CX")
	v.I("SUBQ", "BX", "CX")
	v.run(4, func(_, offset int) { v.storeTo(zero, "x", offset) })
	v.I("ADDQ", "R8", "SI")
	v.I("ADDQ", Imm(8), "R9")
	v.I("DECQ", "R10")
	v.I("JNE", row)
	v.Return()
}

// openRows begins the assembly of nameEach, with no register in use.
func (v *vec) openRows(name string, args ...Arg) {
	level := v.level()
	v.Func(name+level, name+level+" is "+name[:len(name)-len("Rows")]+"Each in "+v.instructions()+", what is between rows in bytes.", args...)
	v.scalars, v.unused, v.released = map[string]string{}, 0, nil
}
