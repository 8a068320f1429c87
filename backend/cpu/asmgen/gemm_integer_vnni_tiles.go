package main

// What AVX512_VNNI multiplies: panels and rounded rows, in tiles of up to seven rows and two panels.

// A wideTile is a panelTile of panels of sixteen rows.
type wideTile struct{ panelTile }

// sum and step are the registers of C's parts in a tile and of a step's sums: both together are at most 28.
func (t wideTile) sum(v, i int) string  { return Z(32 - t.vectors*t.panels + t.panels*v + i) }
func (t wideTile) step(v, i int) string { return Z(4 + t.panels*v + i) }

// panel is an operand in the i-th panel of a tile.
func (p *integerVNNI) panel(i, offset int) string { return further(offset, "DX", "R12", i) }

// dots adds the products of fours [from, to) of a step to sums that begin with the vectors' zeros.
func (p *integerVNNI) dots(t wideTile, zeros, from, to int) {
	for v := range t.vectors {
		p.I("VPBROADCASTD", rowOf(v, zeros, "DI"), t.step(v, 0))
		if t.panels > 1 {
			p.I("VMOVDQA64", t.step(v, 0), t.step(v, 1))
		}
	}
	for four := from; four < to; four++ {
		for i := range t.panels {
			p.I("VMOVDQU64", p.panel(i, 64*four), Z(i))
		}
		for v := range t.vectors {
			p.I("VPBROADCASTD", rowOf(v, 4*four, "DI"), Z(2+v%2))
			for i := range t.panels {
				p.I("VPDPBUSD", Z(2+v%2), Z(i), t.step(v, i))
			}
		}
	}
}

// scaleSums adds the step's sums times scales of panels and of vectors.
func (p *integerVNNI) scaleSums(t wideTile, scales int) {
	for i := range t.panels {
		p.I("VMOVUPS", p.panel(i, scales), Z(i))
	}
	for v := range t.vectors {
		p.I("VBROADCASTSS", rowOf(v, groupScale, "DI"), Z(2+v%2))
		for i := range t.panels {
			p.I("VCVTDQ2PS", t.step(v, i), t.step(v, i))
			p.I("VMULPS", Z(i), t.step(v, i), t.step(v, i))
			p.I("VFMADD231PS", Z(2+v%2), t.step(v, i), t.sum(v, i))
		}
	}
}

func (p *integerVNNI) scaled(t wideTile) {
	p.dots(t, groupZeros, 0, 8)
	p.scaleSums(t, wideScales)
}

func (p *integerVNNI) groups(t wideTile) {
	p.scaled(t)
	for i := range t.panels {
		p.I("VMOVUPS", p.panel(i, wideOthers), Z(i))
	}
	t.each(func(v, i int) { p.I("VFNMADD231PS.BCST", rowOf(v, groupSum, "DI"), Z(i), t.sum(v, i)) })
}

func (p *integerVNNI) halves(t wideTile) {
	for half, scales := range []int{wideScales, wideOthers} {
		p.dots(t, groupZeros+4+4*half, 4*half, 4*half+4)
		p.scaleSums(t, scales)
	}
}

// multiplier writes the product of one panel or two, which share what is loaded of rows, and rows, at most seven at a time:
// more sums there are no registers for.
func (p *integerVNNI) multiplier(name string, step func(t wideTile)) {
	name = "multiplyVNNI" + name
	p.Func(name, name+` multiplies a positive number of rounded rows, apart bytes apart, by a panel of a positive number of
steps, or by two, second bytes apart, unless that is 0: c[r][:16] += x[r] * panel, or [:32], rows of c being ldc bytes apart.`,
		Arg{"c", "unsafe.Pointer"}, Arg{"ldc", "int"}, Arg{"x", "unsafe.Pointer"}, Arg{"apart", "int"},
		Arg{"panel", "unsafe.Pointer"}, Arg{"second", "int"}, Arg{"steps", "int"}, Arg{"rows", "int"})
	for _, a := range [][2]string{{"c", "R14"}, {"ldc", "R13"}, {"x", "SI"}, {"apart", "R8"}, {"second", "R12"}, {"rows", "BX"}} {
		p.I("MOVQ", p.Arg(a[0]), a[1])
	}
	p.distances()
	one := p.NewLabel("one")
	p.I("TESTQ", "R12", "R12")
	p.I("JEQ", one)
	for _, panels := range []int{2, 1} {
		for _, vectors := range []int{7, 4, 2, 1} {
			p.tiles(wideTile{panelTile{vectors, panels}}, step)
		}
		p.Return()
		if panels == 2 {
			p.Label(one)
		}
	}
}

// tiles multiplies rows as long as there are enough.
func (p *integerVNNI) tiles(t wideTile, step func(t wideTile)) {
	again, loop, done := p.NewLabel("rows"), p.NewLabel("loop"), p.NewLabel("done")
	p.Label(again)
	p.I("CMPQ", "BX", Imm(t.vectors))
	p.I("JLT", done)
	p.I("MOVQ", "R14", "AX")
	for v := range t.vectors {
		for i := range t.panels {
			p.I("VMOVUPS", Mem(64*i, "R14"), t.sum(v, i))
		}
		p.I("ADDQ", "R13", "R14")
	}
	p.I("MOVQ", "SI", "DI")
	p.I("MOVQ", p.Arg("panel"), "DX")
	p.I("MOVQ", p.Arg("steps"), "CX")
	p.I("PCALIGN", Imm(32))
	p.Label(loop)
	step(t)
	p.I("ADDQ", Imm(roundedGroup), "DI")
	p.I("ADDQ", Imm(wideStep), "DX")
	p.I("DECQ", "CX")
	p.I("JNZ", loop)
	for v := range t.vectors {
		for i := range t.panels {
			p.I("VMOVUPS", t.sum(v, i), Mem(64*i, "AX"))
		}
		p.I("ADDQ", "R13", "AX")
	}
	p.I("LEAQ", rowOf(t.vectors, 0, "SI"), "SI")
	p.I("SUBQ", Imm(t.vectors), "BX")
	p.I("JMP", again)
	p.Label(done)
}
