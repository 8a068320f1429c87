package main

import "math"

// The constants of exp.go; see there.
const (
	geluA = 0.79788456
	geluB = 0.044715
)

// exponentials writes the routines of exp.go, activation.go and swiglu.go.
func (v *vec) exponentials() {
	v.elementwise(routine{name: "exp", outs: words("dst"), ins: words("x")}, 3, func(x []string) []string {
		return []string{v.exp(x[0])}
	})
	v.elementwise(routine{name: "expSubScale", outs: words("dst"), ins: words("x"), scalars: words("shift alpha")}, 3,
		func(x []string) []string {
			v.I("VSUBPS", v.scalars["shift"], x[0], x[0])
			y := v.exp(x[0])
			v.I("VMULPS", v.scalars["alpha"], y, y)
			return []string{y}
		})
	v.expSum(routine{name: "expSub", outs: words("dst"), ins: words("x"), scalars: words("shift")})
	v.expSum(routine{name: "sumExpSub", ins: words("x"), scalars: words("shift")})

	v.elementwise(routine{name: "sigmoid", outs: words("y"), ins: words("x")}, 2, func(x []string) []string {
		return []string{v.sigmoid(v.minus(x[0]))}
	})
	v.elementwise(routine{name: "sigmoidGrad", outs: words("dx"), ins: words("dy y")}, 2, func(x []string) []string {
		t := v.oneMinus(x[1])
		v.I("VMULPS", x[1], x[0], x[0])
		v.I("VMULPS", t, x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "tanh", outs: words("y"), ins: words("x")}, 3, func(x []string) []string {
		return []string{v.tanh(x[0])}
	})
	v.elementwise(routine{name: "tanhGrad", outs: words("dx"), ins: words("dy y")}, 2, func(x []string) []string {
		v.I("VFNMADD213PS", v.constant("one", 1), x[1], x[1])
		v.I("VMULPS", x[1], x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "silu", outs: words("y"), ins: words("x")}, 2, func(x []string) []string {
		v.I("VDIVPS", v.sigmoidInverse(v.minus(x[0])), x[0], x[0])
		return x
	})
	v.elementwise(routine{name: "siluGrad", outs: words("dx"), ins: words("dy x")}, 2, func(x []string) []string {
		v.I("VMULPS", v.siluSlope(x[1], v.sigmoid(v.minus(x[1]))), x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "geluTanh", outs: words("y"), ins: words("x")}, 3, func(x []string) []string {
		v.I("VDIVPS", v.sigmoidInverse(v.minusGELUArg(x[0])), x[0], x[0])
		return x
	})
	v.elementwise(routine{name: "geluTanhGrad", outs: words("dx"), ins: words("dy x")}, 2, func(x []string) []string {
		s, u := v.sigmoid(v.minusGELUArg(x[1])), v.temp()
		v.I("VMULPS", x[1], x[1], u)
		v.linear(u, "geluSlope", 2*geluA, "geluCubicSlope", 6*geluA*geluB)
		v.I("VMULPS", u, x[1], x[1]) // x*du/dx
		v.I("VMULPS", v.siluSlope(x[1], s), x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "swiglu", outs: words("y"), ins: words("gate up")}, 2, func(x []string) []string {
		v.I("VDIVPS", v.sigmoidInverse(v.minus(x[0])), x[0], x[0])
		v.I("VMULPS", x[1], x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "swigluGrad", outs: words("dgate dup"), ins: words("dy gate up")}, 2,
		func(x []string) []string {
			dy, gate, up := x[0], x[1], x[2]
			s := v.sigmoid(v.minus(gate))
			v.I("VMULPS", dy, up, up)
			v.I("VMULPS", v.siluSlope(gate, s), up, up)
			v.I("VMULPS", s, gate, gate)
			v.I("VMULPS", gate, dy, dy)
			return []string{up, dy}
		})
}

// sumAhead is the elements after which sumExpSub fetches: vec's sumPiece, so that a row comes from memory while the
// exponentials of the piece before are computed.
const sumAhead = 2048

// expSum writes the sum of e^(x-shift); with outs it also stores the terms. The
// few terms of a group are added in float32, the groups in float64.
func (v *vec) expSum(r routine) {
	r.result, r.initial, r.combine = "float64", "0.0", "total + %s"
	v.open(r)
	acc := v.zero()
	var terms [3]string
	v.runGroups(len(terms), func(way, offset int) {
		x := v.temp()
		v.load("x", offset, x)
		if r.outs == nil && !v.masked {
			v.I("PREFETCHT0", Idx(4*(offset+sumAhead), v.pointers["x"], "AX", 4))
		}
		v.I("VSUBPS", v.scalars["shift"], x, x)
		y := v.exp(x)
		v.release(x)
		if r.outs != nil {
			v.store(y, "dst", offset)
		}
		if v.masked {
			v.I("VANDPS", mask, y, y)
		}
		terms[way] = y
	}, func(ways int) {
		for _, y := range terms[1:ways] {
			v.I("VADDPS", y, terms[0], terms[0])
		}
		y, t := terms[0], v.temp()
		v.I("VCVTPS2PD", low(y), t)
		v.I("VADDPD", t, acc, acc)
		v.I("VEXTRACTF128", Imm(1), y, low(y))
		v.I("VCVTPS2PD", low(y), y)
		v.I("VADDPD", y, acc, acc)
	})
	v.total([]string{acc})
	v.Return()
}

// reduce returns r = x - n ln 2, with n in the low bits of t, and the polynomial
// of which e^r = 1 + r + p*r^2; x stays.
func (v *vec) reduce(x string) (r, t, p string) {
	t, p, r = v.temp(), v.temp(), v.temp()
	round := v.constant("expRound", 0x1.8p23)
	v.I("VMOVUPS", round, t)
	v.I("VFMADD231PS", v.constant("expLog2e", math.Log2E), x, t)
	v.I("VSUBPS", round, t, p)
	v.I("VMOVAPS", x, r)
	v.I("VFNMADD231PS", v.constant("expLn2Hi", 0.693359375), p, r)
	v.I("VFNMADD231PS", v.constant("expLn2Lo", -2.12194440e-4), p, r)
	v.I("VMOVUPS", v.constant("expC6", 0.0013814540579915047), p)
	v.I("VFMADD213PS", v.constant("expC5", 0.00836874544620514), r, p)
	v.I("VFMADD213PS", v.constant("expC4", 0.04166838899254799), r, p)
	v.I("VFMADD213PS", v.constant("expC3", 0.1666652113199234), r, p)
	v.I("VFMADD213PS", v.constant("expC2", 0.4999999403953552), r, p)
	return r, t, p
}

// exp returns a register with e^x, as exp32; x stays.
func (v *vec) exp(x string) string {
	r, t, p := v.reduce(x)
	one := v.constant("one", 1)
	v.I("VFMADD213PS", one, r, p)
	v.I("VFMADD213PS", one, r, p)
	v.I("VPSLLD", Imm(23), t, t)
	v.I("VPADDD", t, p, p)
	v.I("VCMPPS", Imm(1), v.constant("expMin", -87.33654), x, r) // x < expMin
	v.I("VANDNPS", p, r, p)
	v.I("VCMPPS", Imm(6), v.constant("expMax", 88.72283), x, r) // not x <= expMax
	v.I("VMULPS", v.bits("plusInf", 0x7f800000), x, t)
	v.I("VBLENDVPS", r, t, p, p)
	v.release(r, t)
	return p
}

// minus returns -x; x stays.
func (v *vec) minus(x string) string {
	y := v.temp()
	v.I("VXORPS", v.bits("signBit", 1<<31), x, y)
	return y
}

// sigmoidInverse returns 1 + e^z, the inverse of sigmoid(-z); z is released.
func (v *vec) sigmoidInverse(z string) string {
	e := v.exp(z)
	v.release(z)
	v.I("VADDPS", v.constant("one", 1), e, e)
	return e
}

// sigmoid returns sigmoid(-z); z is released.
func (v *vec) sigmoid(z string) string {
	e, y := v.sigmoidInverse(z), v.temp()
	v.I("VMOVUPS", v.constant("one", 1), y)
	v.I("VDIVPS", e, y, y)
	v.release(e)
	return y
}

// oneMinus returns 1 - x; x stays.
func (v *vec) oneMinus(x string) string {
	y := v.temp()
	v.I("VMOVUPS", v.constant("one", 1), y)
	v.I("VSUBPS", x, y, y)
	return y
}

// siluSlope returns s*(a*(1-s) + 1), the derivative of x*sigmoid(u) where s is
// sigmoid(u) and a = x*du/dx; both stay.
func (v *vec) siluSlope(a, s string) string {
	t := v.oneMinus(s)
	v.I("VFMADD213PS", v.constant("one", 1), a, t)
	v.I("VMULPS", s, t, t)
	return t
}

// minusGELUArg returns -x*(2A + 2AB*x^2); x stays.
func (v *vec) minusGELUArg(x string) string {
	u := v.temp()
	v.I("VMULPS", x, x, u)
	v.linear(u, "minusGELUSlope", -2*geluA, "minusGELUCubic", -2*geluA*geluB)
	v.I("VMULPS", x, u, u)
	return u
}

// linear sets x = a + b*x.
func (v *vec) linear(x, nameA string, a float64, nameB string, b float64) {
	t := v.temp()
	v.I("VMOVUPS", v.constant(nameB, b), t)
	v.I("VFMADD213PS", v.constant(nameA, a), t, x)
	v.release(t)
}

// tanh returns tanh(x), as tanh32; x stays. VMINPS gives its last source if one
// is NaN.
func (v *vec) tanh(x string) string {
	z, clamp := v.temp(), v.temp()
	v.I("VANDPS", v.bits("allButSign", 1<<31-1), x, z)
	v.I("VMOVUPS", v.constant("tanhClamp", 9.125), clamp)
	v.I("VMINPS", z, clamp, z)
	v.I("VADDPS", z, z, z)
	v.release(clamp)
	r, s, m := v.reduce(z)
	v.I("VMULPS", r, r, z)
	v.I("VFMADD213PS", r, z, m)
	v.I("VPSLLD", Imm(23), s, s)
	v.I("VPADDD", v.constant("one", 1), s, s)
	v.I("VSUBPS", v.constant("one", 1), s, r)
	v.I("VFMADD213PS", r, s, m)
	v.I("VADDPS", v.constant("two", 2), m, r)
	v.I("VDIVPS", r, m, m)
	v.I("VANDPS", v.bits("signBit", 1<<31), x, r)
	v.I("VORPS", r, m, m)
	return m
}
