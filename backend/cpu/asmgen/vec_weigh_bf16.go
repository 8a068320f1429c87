package main

import "strconv"

// What attention does between products of bfloat16: the routines of vec_weigh.go, with AVX512_BF16's rounding of their weights.
func (v *vec) weighingBF16(m machineAVX512) {
	v.weighRowsBF16(m)
	v.weighGradRowsBF16(m)
	v.dotRowsBF16()
}

// dotRowsBF16 adds pairs, and lanes at a row's end.
func (v *vec) dotRowsBF16() {
	const name = "dotRowsBF16AVX512BF16"
	v.Func(name, name+" is dotEachBF16 with AVX512_BF16, what is between rows in bytes.", Arg{"sums", "*float32"}, Arg{"x", "*uint16"},
		Arg{"apart", "int"}, Arg{"y", "*uint16"}, Arg{"across", "int"}, Arg{"n", "int"}, Arg{"rows", "int"})
	for i, arg := range words("sums x apart y across rows n") {
		v.I("MOVQ", v.Arg(arg), words("R11 SI R8 DI R9 R10 CX")[i])
	}
	row, whole, tail, end := v.NewLabel("row"), v.NewLabel("whole"), v.NewLabel("tail"), v.NewLabel("end")
	v.I("MOVQ", "CX", "BX")
	v.I("ANDQ", Imm(-32), "BX")
	v.I("ANDQ", Imm(31), "CX")
	v.I("MOVQ", Imm(1), "DX")
	v.I("SHLQ", "CX", "DX")
	v.I("DECQ", "DX")
	v.I("KMOVD", "DX", "K1")
	v.Label(row)
	v.I("VPXORD", Z(0), Z(0), Z(0))
	v.I("XORQ", "AX", "AX")
	v.I("CMPQ", "BX", Imm(0))
	v.I("JEQ", tail)
	v.Label(whole)
	v.I("VMOVDQU16", Idx(0, "SI", "AX", 2), Z(1))
	v.I("VMOVDQU16", Idx(0, "DI", "AX", 2), Z(2))
	v.dotPairs(1, 2, 0)
	v.I("ADDQ", Imm(32), "AX")
	v.I("CMPQ", "AX", "BX")
	v.I("JLT", whole)
	v.Label(tail)
	v.I("TESTQ", "DX", "DX")
	v.I("JEQ", end)
	v.I("VMOVDQU16.Z", Idx(0, "SI", "AX", 2), "K1", Z(1))
	v.I("VMOVDQU16.Z", Idx(0, "DI", "AX", 2), "K1", Z(2))
	v.dotPairs(1, 2, 0)
	v.Label(end)
	v.I("VEXTRACTF32X8", Imm(1), Z(0), Y(1))
	v.I("VADDPS", Y(1), Y(0), Y(0))
	v.I("VEXTRACTF128", Imm(1), Y(0), X(1))
	v.I("VADDPS", X(1), X(0), X(0))
	v.I("VHADDPS", X(0), X(0), X(0))
	v.I("VHADDPS", X(0), X(0), X(0))
	v.I("VMOVSS", X(0), Mem(0, "R11"))
	v.I("ADDQ", Imm(4), "R11")
	v.I("ADDQ", "R8", "SI")
	v.I("ADDQ", "R9", "DI")
	v.I("DECQ", "R10")
	v.I("JNE", row)
	v.Return()
}

// numberOf is that of a vector register.
func numberOf(register string) int {
	n, err := strconv.Atoi(register[1:])
	if err != nil {
		panic(err)
	}
	return n
}

// weighRowsBF16 is weighRows whose exponentials become bfloat16 in the memory of the row: up to half as far as it has been read, as all
// vectors of a group of ways are loaded before the first of them is stored (alternate).
func (v *vec) weighRowsBF16(m machineAVX512) {
	const name = "weighRowsBF16AVX512BF16"
	statistics := [2]string{"highest", "sums"}
	v.Func(name, name+" is weighEachBF16 with AVX512_BF16, apart in bytes.", Arg{"x", "*float32"}, Arg{"apart", "int"}, Arg{"counts", "*int"},
		Arg{"rows", "int"}, Arg{statistics[0], "*float32"}, Arg{statistics[1], "*float32"}, Arg{"n", "int"})
	m.pointers = map[string]string{"x": "SI"}
	v.maximaOfRows(m, statistics)
	defer func(m machine) { v.machine = m }(v.machine)
	v.machine = v.grouped()
	v.eachRow(statistics, func() {
		shift := v.last("shift")
		v.I("VBROADCASTSS", Mem(0, "R11"), shift)
		m.finiteShift(shift)
		acc := v.zero()
		var terms [3]string
		v.runGroups(len(terms), func(way, offset int) {
			x := v.temp()
			v.loadFrom("x", offset, x)
			v.sub(x, v.scalars["shift"], x)
			y := v.expBelow(x)
			if v.masked {
				v.clearTail(y)
			}
			terms[way] = y
			v.round16(numberOf(y), numberOf(x))
			if v.machine.(machineAVX512).apart && v.machine.lanes() == 16 {
				first := offset / 2 // as loadFrom
				v.I("VMOVUPS", low(x), Idx(2*first, "SI", "AX", 2))
				v.I("VEXTRACTF32X4", Imm(1), ymm(x), Idx(2*(expGroup+first), "SI", "AX", 2))
			} else {
				v.I("VMOVUPS", low(x), Idx(2*offset, "SI", "AX", 2))
			}
			v.release(x)
		}, func(ways int) {
			for _, y := range terms[1:ways] {
				v.add(terms[0], y, terms[0])
			}
			y, t := terms[0], v.temp()
			v.accumulate(y, t, acc)
		})
		m.sumOfRow(acc)
		v.I("VMOVSS", low(acc), Mem(0, "R12"))
		zero := Z(numberOf(acc))
		v.I("VXORPS", low(acc), low(acc), low(acc))
		v.fillFrom(func() { v.I("MOVQ", Mem(0, "R9"), "AX") }, 8, 32, func() { v.I("VMOVUPS", zero, Idx(0, "SI", "AX", 2)) })
	})
	v.Return()
}

// fillFrom repeats store, of so many elements from AX on, from what first puts into AX, rounded up to a multiple, to n.
func (v *vec) fillFrom(first func(), multiple, elements int, store func()) {
	fill, full := v.NewLabel("fill"), v.NewLabel("full")
	first()
	v.I("ADDQ", Imm(multiple-1), "AX")
	v.I("ANDQ", Imm(-multiple), "AX")
	v.I("CMPQ", "AX", v.Arg("n"))
	v.I("JGE", full)
	v.Label(fill)
	store()
	v.I("ADDQ", Imm(elements), "AX")
	v.I("CMPQ", "AX", v.Arg("n"))
	v.I("JLT", fill)
	v.Label(full)
}

// weighGradRowsBF16 takes two rows at a time, r and r + 1 for an even r. Of both matrices the two become one row of pairs in the
// memory of row r; y's are stored as rows, too.
func (v *vec) weighGradRowsBF16(m machineAVX512) {
	const name = "weighGradRowsBF16AVX512BF16"
	v.Func(name, name+" is weighGradEachBF16 with AVX512_BF16, apart and across in bytes.", Arg{"x", "*float32"}, Arg{"y", "*float32"},
		Arg{"apart", "int"}, Arg{"counts", "*int"}, Arg{"rows", "int"}, Arg{"shift", "*float32"}, Arg{"delta", "*float32"}, Arg{"to", "*uint16"},
		Arg{"across", "int"}, Arg{"n", "int"})
	for i, arg := range words("x y apart counts rows shift delta to across") {
		v.I("MOVQ", v.Arg(arg), words("SI DI R8 R9 R10 R11 R12 BX R13")[i])
	}
	rows, one, both, whole, ends, tail, done := v.NewLabel("rows"), v.NewLabel("one"), v.NewLabel("both"), v.NewLabel("whole"), v.NewLabel("ends"),
		v.NewLabel("tail"), v.NewLabel("done")
	v.scalars, v.unused, v.released = map[string]string{}, 0, nil
	lanes, pairs := v.last("lanes"), v.last("pairs")
	v.I("VMOVDQU32", m.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), lanes)
	var order [16]uint32
	for i := range uint32(16) {
		order[i] = i | (16+i)<<16
	}
	v.I("VMOVDQU32", m.table("pairsOfWords", order[:]...), pairs)
	var shift, delta [2]string
	for i := range 2 {
		shift[i], delta[i] = v.last("shift"+strconv.Itoa(i)), v.last("delta"+strconv.Itoa(i))
	}
	ends0, ends1 := v.last("ends0"), v.last("ends1")

	// step computes sixteen numbers of both rows from AX on, those under K1 and K2 if there are such.
	step := func(masked bool) {
		var weights, changes [2]string
		v.alternate(2, func(way, _ int) {
			at := func(base string) string { return Idx(0, base, "AX", 4) }
			x, y := at(words("SI CX")[way]), at(words("DI DX")[way])
			p := v.temp()
			if masked {
				v.I("VMOVUPS.Z", x, K(1+way), p)
			} else {
				v.I("VMOVUPS", x, p)
			}
			v.way = 2 + way // K4 and K5
			v.sub(p, shift[way], p)
			weights[way] = v.expFar(p)
			if masked {
				v.I("VMOVAPS.Z", weights[way], K(1+way), weights[way])
				v.I("VMOVUPS.Z", y, K(1+way), p)
			} else {
				v.I("VMOVUPS", y, p)
			}
			v.sub(p, delta[way], p)
			if masked {
				v.I("VMULPS.Z", weights[way], p, K(1+way), p)
			} else {
				v.mul(p, weights[way], p)
			}
			changes[way] = p
		})
		w, c := numberOf(weights[0]), numberOf(changes[0])
		v.round32(w, numberOf(weights[1]), w)
		v.round32(c, numberOf(changes[1]), c)
		v.I("VPERMW", Z(w), pairs, Z(w))
		v.I("VMOVUPS", Z(w), Idx(0, "SI", "AX", 4))
		v.I("VMOVUPS", Y(c), Idx(0, "BX", "AX", 2))
		v.I("VEXTRACTF32X8", Imm(1), Z(c), Idx(0, "R14", "AX", 2))
		v.I("VPERMW", Z(c), pairs, Z(c))
		v.I("VMOVUPS", Z(c), Idx(0, "DI", "AX", 4))
		v.I("ADDQ", Imm(16), "AX")
	}
	unused := v.unused
	v.hoist(func() { v.unused = unused; step(true) })

	v.Label(rows)
	v.I("LEAQ", Idx(0, "SI", "R8", 1), "CX")
	v.I("LEAQ", Idx(0, "DI", "R8", 1), "DX")
	v.I("LEAQ", Idx(0, "BX", "R13", 1), "R14")
	v.I("VBROADCASTSS", Mem(0, "R11"), shift[0])
	v.I("VBROADCASTSS", Mem(0, "R12"), delta[0])
	v.I("VPBROADCASTD", Mem(0, "R9"), ends0)
	v.I("XORQ", "AX", "AX")
	v.I("CMPQ", "R10", Imm(1))
	v.I("JEQ", one)
	v.I("VBROADCASTSS", Mem(4, "R11"), shift[1])
	v.I("VBROADCASTSS", Mem(4, "R12"), delta[1])
	v.I("VPBROADCASTD", Mem(8, "R9"), ends1)
	v.I("MOVQ", Mem(0, "R9"), "R15")
	v.I("CMPQ", "R15", Mem(8, "R9"))
	v.I("CMOVQGT", Mem(8, "R9"), "R15")
	v.I("SUBQ", Imm(16), "R15")
	v.I("JLT", both)
	v.Label(whole)
	v.unused = unused
	step(false)
	v.I("CMPQ", "AX", "R15")
	v.I("JLE", whole)
	v.Label(both)
	v.I("MOVQ", Mem(0, "R9"), "R15")
	v.I("CMPQ", "R15", Mem(8, "R9"))
	v.I("CMOVQLT", Mem(8, "R9"), "R15")
	v.I("JMP", ends)

	v.Comment("The last row of an odd number: beside one that ends where it begins.")
	v.Label(one)
	v.I("MOVQ", Mem(0, "R9"), "R15")
	v.I("VPXORD", ends1, ends1, ends1)
	v.I("VMOVAPS", shift[0], shift[1])
	v.I("VMOVAPS", delta[0], delta[1])

	v.Label(ends)
	v.I("CMPQ", "AX", "R15")
	v.I("JGE", done)
	v.Label(tail)
	v.unused = unused
	at := v.temp()
	v.I("VPBROADCASTD", "AX", at)
	v.I("VPADDD", lanes, at, at)
	v.I("VPCMPD", Imm(1), ends0, at, K(1)) // less
	v.I("VPCMPD", Imm(1), ends1, at, K(2))
	v.unused = unused
	step(true)
	v.I("CMPQ", "AX", "R15")
	v.I("JLT", tail)
	v.Label(done)

	v.unused = unused
	zero := v.temp()
	v.I("VXORPS", low(zero), low(zero), low(zero))
	v.fillFrom(func() {}, 1, 16, func() {
		v.I("VMOVUPS", zero, Idx(0, "SI", "AX", 4))
		v.I("VMOVUPS", zero, Idx(0, "DI", "AX", 4))
		v.I("VMOVUPS", ymm(zero), Idx(0, "BX", "AX", 2))
		v.I("VMOVUPS", ymm(zero), Idx(0, "R14", "AX", 2))
	})
	v.I("LEAQ", Idx(0, "SI", "R8", 2), "SI")
	v.I("LEAQ", Idx(0, "DI", "R8", 2), "DI")
	v.I("LEAQ", Idx(0, "BX", "R13", 2), "BX")
	v.I("ADDQ", Imm(16), "R9")
	v.I("ADDQ", Imm(8), "R11")
	v.I("ADDQ", Imm(8), "R12")
	v.I("SUBQ", Imm(2), "R10")
	v.I("JGT", rows)
	v.Return()
}
