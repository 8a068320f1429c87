package main

import (
	"maps"
	"slices"
)

// weighing writes the routines of weigh.go, a loop over rows around those of maximum, expSub, expSubScale and subMul, whose
// bits they have: a call for each row would take as long as a third of its exponentials.
func (m machineAVX2) weighing() {
	m.weighRows()
	m.weighGradRows()
}

// rowsOf opens a routine over rows of a matrix at x, and perhaps of one at y, that lie apart and have so many elements each.
func (m machineAVX2) rowsOf(name, doc string, second bool, statistics [2]string) {
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
func (m machineAVX2) eachRow(statistics [2]string, body func()) {
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
func (m machineAVX2) weighRows() {
	statistics := [2]string{"highest", "sums"}
	m.rowsOf("weighRowsAVX2", "weighRowsAVX2 is weighEach in AVX2 and FMA, apart in bytes.", false, statistics)
	m.eachRow(statistics, func() {
		var most []string
		for range 4 {
			most = append(most, m.temp())
			m.I("VMOVUPS", m.bits("minusInf", 0xff800000), most[len(most)-1])
		}
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
		m.I("VMAXPS", most[2], most[0], most[0])
		m.I("VMAXPS", most[3], most[1], most[1])
		m.I("VMAXPS", most[1], most[0], most[0])
		m.topLane(most[0])
		m.I("VMAXSS", Mem(0, "R11"), low(most[0]), low(most[0]))
		m.I("VMOVSS", low(most[0]), Mem(0, "R11"))
	})
	m.eachRow(statistics, func() {
		shift := m.last("shift")
		m.I("VBROADCASTSS", Mem(0, "R11"), shift)
		m.Comment("A row that is -Inf throughout has only zeros: minus 0, not minus -Inf, which would be NaN.")
		m.I("VCMPPS", Imm(0), m.bits("minusInf", 0xff800000), shift, "Y0") // equal
		m.I("VANDNPS", shift, "Y0", shift)
		acc := m.zero()
		m.expTerms(acc, "x", m.expBelow)
		m.I("VEXTRACTF128", Imm(1), acc, "X15")
		m.I("VADDPD", "X15", low(acc), low(acc))
		m.I("VHADDPD", low(acc), low(acc), low(acc))
		m.I("VCVTSD2SS", low(acc), low(acc), low(acc))
		m.I("VMOVSS", low(acc), Mem(0, "R12"))
	})
	m.Return()
}

func (m machineAVX2) weighGradRows() {
	statistics := [2]string{"shift", "delta"}
	m.rowsOf("weighGradRowsAVX2", "weighGradRowsAVX2 is weighGradEach in AVX2 and FMA, apart in bytes.", true, statistics)
	m.eachRow(statistics, func() {
		m.I("VBROADCASTSS", Mem(0, "R11"), m.last("shift"))
		m.I("VBROADCASTSS", Mem(0, "R12"), m.last("delta"))
		m.run(3, func(_, offset int) {
			x := m.temp()
			m.loadFrom("x", offset, x)
			m.sub(x, m.scalars["shift"], x)
			p := m.exp(x)
			m.storeTo(p, "x", offset)
			m.loadFrom("y", offset, x)
			m.sub(x, m.scalars["delta"], x)
			m.mul(x, p, x)
			m.storeTo(x, "y", offset)
		})
	})
	m.Return()
}
