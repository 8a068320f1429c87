package main

import (
	"maps"
	"slices"
)

// A weigher is a machine that has the routines of weigh.go, a loop over rows around those of maximum, expSub, expSubScale and
// subMul, whose bits they have: a call for each row would take as long as a third of its exponentials, and no processor
// begins a row while the one before ends.
type weigher interface {
	machine
	maximumOfRow() (most string) // of the row at x; the first lane has it
	finiteShift(shift string)    // zeros it where it is -Inf
	sumOfRow(acc string)         // adds the lanes of float64, and rounds: into the first lane
}

func (v *vec) weighing(m weigher) {
	v.weighRows(m)
	v.weighGradRows(m)
}

// rowsOf opens a routine over rows of a matrix at x, and perhaps of one at y, that lie apart and have so many elements each.
func (m *vec) rowsOf(name string, second bool, statistics [2]string) {
	name, doc := name+m.level(), name+m.level()+" is "+name[:len(name)-len("Rows")]+"Each in "+m.instructions()+", apart in bytes."
	args := []Arg{{"x", "*float32"}}
	if second {
		args = append(args, Arg{"y", "*float32"})
	}
	args = append(args, Arg{"apart", "int"}, Arg{"counts", "*int"}, Arg{"rows", "int"})
	m.Func(name, doc, append(args, Arg{statistics[0], "*float32"}, Arg{statistics[1], "*float32"})...)
	m.pointers = map[string]string{"x": "SI"}
	if second {
		m.pointers["y"] = "DI"
	}
}

// eachRow writes a loop over the rows, with statistics at R11 and R12, and no register in use but for those.
func (m *vec) eachRow(statistics [2]string, body func()) {
	for _, x := range slices.Sorted(maps.Keys(m.pointers)) {
		m.I("MOVQ", m.Arg(x), m.pointers[x])
	}
	m.I("MOVQ", m.Arg("apart"), "R8")
	m.I("MOVQ", m.Arg("counts"), "R9")
	m.I("MOVQ", m.Arg("rows"), "R10")
	m.I("MOVQ", m.Arg(statistics[0]), "R11")
	m.I("MOVQ", m.Arg(statistics[1]), "R12")
	row := m.NewLabel("row")
	m.Label(row)
	m.I("MOVQ", Mem(0, "R9"), "CX")
	m.scalars, m.unused, m.released = map[string]string{}, 0, nil
	body()
	for _, x := range slices.Sorted(maps.Keys(m.pointers)) {
		m.I("ADDQ", "R8", m.pointers[x])
	}
	m.I("ADDQ", Imm(8), "R9")
	m.I("ADDQ", Imm(4), "R11")
	m.I("ADDQ", Imm(4), "R12")
	m.I("DECQ", "R10")
	m.I("JNE", row)
}

// weighRows takes the maxima of all rows first: a row's exponentials wait for its own.
func (v *vec) weighRows(m weigher) {
	statistics := [2]string{"highest", "sums"}
	v.rowsOf("weighRows", false, statistics)
	v.maximaOfRows(m, statistics)
	defer func(m machine) { v.machine = m }(v.machine)
	v.machine = v.grouped()
	v.eachRow(statistics, func() {
		shift := v.last("shift")
		v.I("VBROADCASTSS", Mem(0, "R11"), shift)
		v.Comment("A row that is -Inf throughout has only zeros: minus 0, not minus -Inf, which would be NaN.")
		m.finiteShift(shift)
		acc := v.zero()
		v.expTerms(acc, "x", v.expBelow)
		m.sumOfRow(acc)
		v.I("VMOVSS", low(acc), Mem(0, "R12"))
	})
	v.Return()
}

func (v *vec) maximaOfRows(m weigher, statistics [2]string) {
	v.eachRow(statistics, func() {
		most := low(m.maximumOfRow())
		v.I("VMAXSS", Mem(0, "R11"), most, most)
		v.I("VMOVSS", most, Mem(0, "R11"))
	})
}

func (v *vec) weighGradRows(weigher) {
	statistics := [2]string{"shift", "delta"}
	v.rowsOf("weighGradRows", true, statistics)
	v.eachRow(statistics, func() {
		v.I("VBROADCASTSS", Mem(0, "R11"), v.last("shift"))
		v.I("VBROADCASTSS", Mem(0, "R12"), v.last("delta"))
		v.run(3, func(_, offset int) {
			x := v.temp()
			v.loadFrom("x", offset, x)
			v.sub(x, v.scalars["shift"], x)
			p := v.expFar(x)
			v.storeTo(p, "x", offset)
			v.loadFrom("y", offset, x)
			v.sub(x, v.scalars["delta"], x)
			v.mul(x, p, x)
			v.storeTo(x, "y", offset)
		})
	})
	v.Return()
}

// mosts are four registers of -Inf.
func (v *vec) mosts() (most [4]string) {
	for i := range most {
		most[i] = v.temp()
		v.I("VMOVUPS", v.bits("minusInf", 0xff800000), most[i])
	}
	return most
}

func (m machineAVX2) maximumOfRow() string {
	most := m.mosts()
	m.run(len(most), func(way, offset int) {
		if !m.masked {
			m.I("VMAXPS", Idx(4*offset, "SI", "AX", 4), most[way], most[way])
			return
		}
		x := m.temp()
		m.loadFrom("x", offset, x)
		m.I("VBLENDVPS", mask, x, most[0], x)
		m.I("VMAXPS", x, most[0], most[0])
	})
	m.largestOf(most[:])
	m.topLane(most[0])
	return most[0]
}

// largestOf leaves the larger of four registers' lanes in the first.
func (v *vec) largestOf(most []string) {
	v.I("VMAXPS", most[2], most[0], most[0])
	v.I("VMAXPS", most[3], most[1], most[1])
	v.I("VMAXPS", most[1], most[0], most[0])
}

func (m machineAVX2) finiteShift(shift string) {
	m.I("VCMPPS", Imm(0), m.bits("minusInf", 0xff800000), shift, "Y0") // equal
	m.I("VANDNPS", shift, "Y0", shift)
}

func (m machineAVX2) sumOfRow(acc string) {
	sum := low(acc)
	m.I("VEXTRACTF128", Imm(1), ymm(acc), "X15")
	m.I("VADDPD", "X15", sum, sum)
	m.I("VHADDPD", sum, sum, sum)
	m.I("VCVTSD2SS", sum, sum, sum)
}

func (m machineAVX512) maximumOfRow() string {
	most := m.mosts()
	m.run(len(most), func(way, offset int) {
		at := Idx(4*offset, "SI", "AX", 4)
		if m.masked {
			m.I("VMAXPS", at, most[0], "K1", most[0])
			return
		}
		m.I("VMAXPS", at, most[way], most[way])
	})
	m.largestOf(most[:])
	m.I("VEXTRACTF32X8", Imm(1), most[0], ymm(most[1]))
	m.I("VMAXPS", ymm(most[1]), ymm(most[0]), ymm(most[0]))
	m.topLane(ymm(most[0]))
	return most[0]
}

func (m machineAVX512) finiteShift(shift string) {
	m.I("VCMPPS", Imm(4), m.bits("minusInf", 0xff800000), shift, "K2") // not equal
	m.I("VMOVAPS.Z", shift, "K2", shift)
}
