package main

// reductions writes the routines of reduce.go.
func (v *vec) reductions() {
	v.maximum()
	v.summing(routine{name: "sum", ins: words("x")}, func(x []string, to string) {
		v.I("VADDPD", x[0], to, to)
	})
	v.summing(routine{name: "sumSquares", ins: words("x")}, func(x []string, to string) {
		v.I("VFMADD231PD", x[0], x[0], to)
	})
	v.summing(routine{name: "dot", ins: words("a b")}, func(x []string, to string) {
		v.I("VFMADD231PD", x[0], x[1], to)
	})
	v.summing(routine{name: "dot3", ins: words("a b c")}, func(x []string, to string) {
		v.I("VMULPD", x[1], x[0], x[0])
		v.I("VFMADD231PD", x[0], x[2], to)
	})
}

// summing writes a sum in float64; term adds the term of 4 elements to a
// register. Each half of a vector has an accumulator of its own.
func (v *vec) summing(r routine, term func(x []string, to string)) {
	ways := min(4, 7/len(r.ins)) // 15 registers, 2 of them accumulators
	r.result, r.initial, r.combine = "float64", "0.0", "total + %s"
	v.open(r)
	var acc []string
	for range 2 * ways {
		acc = append(acc, v.zero())
	}
	v.run(ways, func(way, offset int) {
		x := make([]string, len(r.ins))
		for half := range 2 {
			v.release(x[:half*len(x)]...)
			for i, in := range r.ins {
				x[i] = v.temp()
				if !v.masked {
					v.I("VCVTPS2PD", Idx(4*offset+16*half, v.pointers[in], "AX", 4), x[i])
					continue
				}
				v.load(in, offset, x[i])
				v.I("VEXTRACTF128", Imm(half), x[i], low(x[i]))
				v.I("VCVTPS2PD", low(x[i]), x[i])
			}
			term(x, acc[2*way+half])
		}
	})
	v.total(acc)
	v.Return()
}

// zero is a new register of zeros.
func (v *vec) zero() string {
	r := v.temp()
	v.I("VXORPS", r, r, r)
	return r
}

// total adds the lanes of all accumulators, by pairs, into *result.
func (v *vec) total(acc []string) {
	for len(acc) > 1 {
		half := (len(acc) + 1) / 2
		for i, a := range acc[half:] {
			v.I("VADDPD", a, acc[i], acc[i])
		}
		acc = acc[:half]
	}
	x := low(acc[0])
	v.I("VEXTRACTF128", Imm(1), acc[0], "X15")
	v.I("VADDPD", "X15", x, x)
	v.I("VHADDPD", x, x, x)
	v.I("MOVQ", v.Arg("result"), "DX")
	v.I("VMOVSD", x, "(DX)")
}

// maximum keeps the lanes that met a NaN beside the largest elements, since
// VMAXPS forgets them.
func (v *vec) maximum() {
	const ways = 4
	v.open(routine{name: "maximum", ins: words("x"), result: "float32", initial: "-inf", combine: "max(total, %s)"})
	var acc []string
	for range ways {
		acc = append(acc, v.temp())
		v.I("VMOVUPS", v.bits("minusInf", 0xff800000), acc[len(acc)-1])
	}
	nan := v.zero()
	v.run(ways, func(way, offset int) {
		x, t := v.temp(), v.temp()
		v.load("x", offset, x)
		v.I("VCMPPS", Imm(3), x, x, t) // unordered
		if v.masked {
			v.I("VBLENDVPS", mask, x, acc[0], x)
		}
		v.I("VORPS", t, nan, nan)
		v.I("VMAXPS", x, acc[way], acc[way])
	})
	v.I("VMAXPS", acc[2], acc[0], acc[0])
	v.I("VMAXPS", acc[3], acc[1], acc[1])
	v.I("VMAXPS", acc[1], acc[0], acc[0])
	top := low(acc[0])
	v.I("VEXTRACTF128", Imm(1), acc[0], "X15")
	v.I("VMAXPS", "X15", top, top)
	v.I("VPERMILPS", Imm(0x4e), top, "X15") // swap pairs
	v.I("VMAXPS", "X15", top, top)
	v.I("VPERMILPS", Imm(0xb1), top, "X15") // swap neighbors
	v.I("VMAXPS", "X15", top, top)
	v.I("MOVQ", v.Arg("result"), "DX")
	v.I("VMOVSS", top, "(DX)")
	ordered := v.NewLabel("ordered")
	v.I("VTESTPS", nan, nan)
	v.I("JZ", ordered)
	v.I("MOVL", Imm(0x7fc00000), "(DX)")
	v.Label(ordered)
	v.Return()
}
