package main

// reductions writes the sums of reduce.go.
func (v *vec) reductions() {
	v.summing(routine{name: "sum", ins: words("x")}, func(x []string, to string) {
		v.addWide(to, x[0], to)
	})
	v.summing(routine{name: "sumSquares", ins: words("x"), narrows: words("x")}, func(x []string, to string) {
		v.addMulWide(x[0], x[0], to)
	})
	v.summing(routine{name: "dot", ins: words("a b")}, func(x []string, to string) {
		v.addMulWide(x[1], x[0], to)
	})
	v.summing(routine{name: "dot3", ins: words("a b c"), narrows: words("a c")}, func(x []string, to string) {
		v.mulWide(x[0], x[1], x[0])
		v.addMulWide(x[2], x[0], to)
	})
}

// summing writes a sum in float64; term adds the term of half a vector to a
// register. Each half of a vector has an accumulator of its own.
func (v *vec) summing(r routine, term func(x []string, to string)) {
	r.result, r.initial, r.combine = "float64", "0.0", "total + %s"
	v.inStores(r, func(r routine) { v.sumOf(r, term) })
}

// sumOf writes the routine of summing for one type of its narrow slices.
func (v *vec) sumOf(r routine, term func(x []string, to string)) {
	ways := min(4, 7/len(r.ins)) // 15 registers, 2 of them accumulators
	v.open(r)
	var acc []string
	for range v.wides() * ways {
		acc = append(acc, v.zero())
	}
	v.runGroups(ways, func(way, offset int) {
		x := make([]string, len(r.ins))
		for half := range v.wides() {
			v.release(x[:half*len(x)]...)
			for i, in := range r.ins {
				x[i] = v.temp()
				v.widen(in, offset, half, x[i])
			}
			term(x, acc[v.wides()*way+half])
		}
	}, func(ways int) { v.ahead(r, ways) })
	v.total(acc)
	v.Return()
}

// zero is a new register of zeros.
func (v *vec) zero() string {
	r := v.temp()
	v.clear(r)
	return r
}

// total adds the lanes of all accumulators, by pairs, into *result.
func (v *vec) total(acc []string) {
	for acc = v.parts(acc); len(acc) > 1; {
		half := (len(acc) + 1) / 2
		for i, a := range acc[half:] {
			v.addWide(acc[i], a, acc[i])
		}
		acc = acc[:half]
	}
	v.result(acc[0])
}
