package main

// The micro-kernels of gemm_turned.go in AVX-512. Eight words of each of sixteen rows of B are a unit: float32, f16 widened, or pairs
// of bf16, which are widened when they are columns. While one unit is multiplied the next is loaded and turned, its instructions
// among the others: shuffles have one port, the multiply-adds of few rows wait for each other, and by itself a processor would
// not look so far ahead.

// unit512 is the words of a row that a unit has.
const unit512 = 8

// units512 are the registers of two units: eight have words, and one is free.
var units512 = [2][unit512 + 1]int{{0, 1, 2, 3, 4, 5, 6, 7, 8}, {9, 10, 11, 12, 13, 14, 15, 16, 17}}

// Other registers.
const (
	sums512  = 18 // of turnedRows rows
	upper512 = 26 // a mask of the second numbers of pairs
	wide512  = 27 // two of widened columns; of f16 one, of rows
)

// A turning is a micro-kernel of AVX-512 that is being written.
type turning struct {
	*File
	s       store
	rows    int
	columns [2][]int // the registers of a unit's columns
}

// fourthRows point to every fourth row of B.
var fourthRows = []string{"R8", "R9", "R10", "R11"}

// turned512 writes the micro-kernel of so many rows of A.
func (f *File) turned512(s store, rows int) {
	isa := avx512
	isa.acc = sums512
	f.beginTurned(isa, s, rows)
	t := turning{File: f, s: s, rows: rows}
	pairs, steps := s.name == "BF16", unit512
	acc := f.zero(isa, rows, 1)
	if pairs {
		steps *= 2
		f.I("VPTERNLOGD", Imm(0xff), Z(upper512), Z(upper512), Z(upper512))
		f.I("VPSLLD", Imm(16), Z(upper512), Z(upper512))
	}
	const step, none = "R12", "R13"
	f.I("XORQ", none, none)
	next := func(left int) { // where so few units are left there is no next one, and the last is loaded again
		f.I("MOVQ", Imm(s.bytes*steps), step)
		f.I("CMPQ", rCount, Imm(left*steps))
		f.I("CMOVQLT", none, step)
	}
	loop, rest, half, store := f.NewLabel("loop"), f.NewLabel("rest"), f.NewLabel("half"), f.NewLabel("store")
	f.I("CMPQ", rCount, Imm(steps))
	f.I("JLT", half)
	next(2)
	inTurns(t.prepare(0, step), nil)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	for u := range 2 {
		next(3)
		inTurns(t.multiply(u, unit512), t.prepare(1-u, step))
		f.I("SUBQ", Imm(steps), rCount)
		f.I("CMPQ", rCount, Imm(steps))
		if u == 0 {
			f.I("JLT", rest)
		}
	}
	f.I("JGE", loop)
	f.Label(rest)
	if pairs {
		for _, p := range fourthRows {
			f.I("ADDQ", Imm(s.bytes*steps), p)
		}
	}
	f.Label(half)
	if pairs {
		f.I("TESTQ", rCount, rCount)
		f.I("JEQ", store)
		inTurns(t.prepare(0, ""), nil)
		inTurns(t.multiply(0, unit512/2), nil)
	}
	f.Label(store)
	f.finish(isa, rows, 1, acc)
}

// prepare is what loads unit u, goes step bytes on and turns it; without a step half of its words.
func (t *turning) prepare(u int, step string) (list []func()) {
	do := func(op string, operands ...string) { list = append(list, func() { t.I(op, operands...) }) }
	r := units512[u]
	for i := range unit512 { // rows 0 to 3 with 4 to 7 beside them, then 8 to 11 with 12 to 15
		base, beside := fourthRows[i/4*2], fourthRows[i/4*2+1]
		switch {
		case step == "":
			do("VMOVUPS", rowOfB(base, i), X(r[i]))
			do("VINSERTF32X4", Imm(2), rowOfB(beside, i), Z(r[i]), Z(r[i]))
		case t.s.name == "F16":
			do("VCVTPH2PS", rowOfB(base, i), Y(r[i]))
			do("VCVTPH2PS", rowOfB(beside, i), Y(wide512))
			do("VINSERTF64X4", Imm(1), Y(wide512), Z(r[i]), Z(r[i]))
		default:
			do("VMOVUPS", rowOfB(base, i), Y(r[i]))
			do("VINSERTF64X4", Imm(1), rowOfB(beside, i), Z(r[i]), Z(r[i]))
		}
	}
	for i, p := range fourthRows {
		if step == "" {
			break
		}
		if i/2 == u { // two units read a line of each row
			do("LEAQ", Idx(0, p, behindB, 1), "DI")
			for q := range 4 {
				do("PREFETCHT1", rowOfB("DI", q))
			}
		}
		do("ADDQ", step, p)
	}
	free := r[unit512]
	both := func(a, b int, low, high []string) { // of two registers, which they have then
		x, y, to := r[a], r[b], free
		do(low[0], append(low[1:len(low):len(low)], Z(y), Z(x), Z(to))...)
		do(high[0], append(high[1:len(high):len(high)], Z(y), Z(x), Z(y))...)
		r[a], free = to, x
	}
	for i := 0; i < unit512; i += 4 { // in every quarter 4x4 words: columns j and 4+j of four rows, and of those beside them
		for _, ab := range [][2]int{{0, 1}, {2, 3}} {
			both(i+ab[0], i+ab[1], []string{"VUNPCKLPS"}, []string{"VUNPCKHPS"})
		}
		for _, ab := range [][2]int{{0, 2}, {1, 3}} {
			both(i+ab[0], i+ab[1], []string{"VUNPCKLPD"}, []string{"VUNPCKHPD"})
		}
	}
	columns := make([]int, unit512)
	for j, at := range []int{0, 2, 1, 3} {
		both(at, 4+at, []string{"VSHUFF32X4", Imm(0x88)}, []string{"VSHUFF32X4", Imm(0xdd)})
		columns[j], columns[4+j] = r[at], r[4+at]
	}
	t.columns[u] = columns
	return list
}

// multiply is what multiplies the first columns of unit u with A's rows.
func (t *turning) multiply(u, columns int) (list []func()) {
	do := func(op string, operands ...string) { list = append(list, func() { t.I(op, operands...) }) }
	step := 0
	times := func(column int) {
		for i := range t.rows {
			if a := Mem(4*(step*turnedRows+i), rA); t.s == pairsOfB {
				do("VBROADCASTSS", a, Z(wide512+i%2))
				list = append(list, func() { t.dotPairs(column, wide512+i%2, sums512+i) })
				continue
			}
			do("VFMADD231PS.BCST", Mem(4*(step*turnedRows+i), rA), Z(column), Z(sums512+i))
		}
		step++
	}
	for _, c := range t.columns[u][:columns] {
		if t.s.name != "BF16" {
			times(c)
			continue
		}
		do("VPSLLD", Imm(16), Z(c), Z(wide512))
		do("VPANDD", Z(upper512), Z(c), Z(wide512+1))
		times(wide512)
		times(wide512 + 1)
	}
	do("ADDQ", Imm(4*turnedRows*step), rA)
	return list
}

// inTurns writes two lists of instructions, those of the shorter one evenly among the others.
func inTurns(a, b []func()) {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		if j == len(b) || i < len(a) && i*len(b) <= j*len(a) {
			a[i]()
			i++
		} else {
			b[j]()
			j++
		}
	}
}
