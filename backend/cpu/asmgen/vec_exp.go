package main

import "math"

// The constants of exp.go; see there.
const (
	geluA = 0.79788456
	geluB = 0.044715
)

// exponentials writes the routines of exp.go, activation.go and swiglu.go.
func (v *vec) exponentials() {
	v.elementwise(routine{name: "exp", outs: words("dst"), ins: words("x")}, 1, func(x []string) []string {
		return []string{v.exp(x[0])}
	})
	v.elementwise(routine{name: "expSubScale", outs: words("dst"), ins: words("x"), scalars: words("shift alpha")}, 1, func(x []string) []string {
		v.I("VSUBPS", v.scalars["shift"], x[0], x[0])
		y := v.exp(x[0])
		v.I("VMULPS", v.scalars["alpha"], y, y)
		return []string{y}
	})
	v.expSum(routine{name: "expSub", outs: words("dst"), ins: words("x"), scalars: words("shift")})
	v.expSum(routine{name: "sumExpSub", ins: words("x"), scalars: words("shift")})

	v.elementwise(routine{name: "sigmoid", outs: words("y"), ins: words("x")}, 1, func(x []string) []string {
		return []string{v.sigmoid(x[0])}
	})
	v.elementwise(routine{name: "sigmoidGrad", outs: words("dx"), ins: words("dy y")}, 2, func(x []string) []string {
		t := v.temp()
		v.oneMinus(x[1], t)
		v.I("VMULPS", x[1], x[0], x[0])
		v.I("VMULPS", t, x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "tanh", outs: words("y"), ins: words("x")}, 1, func(x []string) []string {
		return []string{v.tanh(x[0])}
	})
	v.elementwise(routine{name: "tanhGrad", outs: words("dx"), ins: words("dy y")}, 2, func(x []string) []string {
		v.I("VFNMADD213PS", v.constant("one", 1), x[1], x[1])
		v.I("VMULPS", x[1], x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "silu", outs: words("y"), ins: words("x")}, 1, func(x []string) []string {
		v.I("VDIVPS", v.sigmoidInverse(x[0]), x[0], x[0])
		return x
	})
	v.elementwise(routine{name: "siluGrad", outs: words("dx"), ins: words("dy x")}, 1, func(x []string) []string {
		v.siluSlope(x[1], v.sigmoid(x[1]), x[1])
		v.I("VMULPS", x[1], x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "geluTanh", outs: words("y"), ins: words("x")}, 1, func(x []string) []string {
		v.I("VDIVPS", v.sigmoidInverse(v.geluArg(x[0])), x[0], x[0])
		return x
	})
	v.elementwise(routine{name: "geluTanhGrad", outs: words("dx"), ins: words("dy x")}, 1, func(x []string) []string {
		s, du := v.sigmoid(v.geluArg(x[1])), v.temp()
		v.I("VMULPS", x[1], x[1], du)
		v.I("VMOVUPS", v.constant("geluSlope3", 6*geluA*geluB), "Y14")
		v.I("VFMADD213PS", v.constant("geluSlope", 2*geluA), "Y14", du)
		v.I("VMULPS", du, x[1], x[1])
		v.siluSlope(x[1], s, x[1])
		v.I("VMULPS", x[1], x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "swiglu", outs: words("y"), ins: words("gate up")}, 1, func(x []string) []string {
		v.I("VDIVPS", v.sigmoidInverse(x[0]), x[0], x[0])
		v.I("VMULPS", x[1], x[0], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "swigluGrad", outs: words("dgate dup"), ins: words("dy gate up")}, 1, func(x []string) []string {
		dy, gate, up := x[0], x[1], x[2]
		s, t := v.sigmoid(gate), v.temp()
		v.siluSlope(gate, s, t)
		v.I("VMULPS", dy, up, up)
		v.I("VMULPS", t, up, up)
		v.I("VMULPS", s, gate, gate)
		v.I("VMULPS", gate, dy, dy)
		return []string{up, dy}
	})
}

// expSum writes the sum of e^(x-shift); with outs it also stores the terms.
func (v *vec) expSum(r routine) {
	r.result, r.initial, r.combine = "float64", "0.0", "total + %s"
	v.open(r)
	acc := []string{v.zero(), v.zero()}
	v.run(1, func(_, offset int) {
		v.load("x", offset, Y(0))
		v.I("VSUBPS", v.scalars["shift"], Y(0), Y(0))
		y, t := v.exp(Y(0)), Y(0)
		if r.outs != nil {
			v.store(y, "dst", offset)
		}
		if v.masked {
			v.I("VANDPS", mask, y, y)
		}
		v.I("VCVTPS2PD", "X"+y[1:], t)
		v.I("VADDPD", t, acc[0], acc[0])
		v.I("VEXTRACTF128", Imm(1), y, X(0))
		v.I("VCVTPS2PD", X(0), t)
		v.I("VADDPD", t, acc[1], acc[1])
	})
	v.total(acc)
	v.Return()
}

// reduce computes r = x - n ln 2 and the polynomial p*r^2 + r, about e^r - 1. n
// is in the low bits of t.
func (v *vec) reduce(x string) (p, t, free string) {
	t, n, r, p := v.temp(), v.temp(), v.temp(), v.temp()
	round := v.constant("expRound", 0x1.8p23)
	v.I("VMOVUPS", round, t)
	v.I("VFMADD231PS", v.constant("expLog2e", math.Log2E), x, t)
	v.I("VSUBPS", round, t, n)
	v.I("VMOVAPS", x, r)
	v.I("VFNMADD231PS", v.constant("expLn2Hi", 0.693359375), n, r)
	v.I("VFNMADD231PS", v.constant("expLn2Lo", -2.12194440e-4), n, r)
	v.I("VMOVUPS", v.constant("expC6", 0.0013814540579915047), p)
	v.I("VFMADD213PS", v.constant("expC5", 0.00836874544620514), r, p)
	v.I("VFMADD213PS", v.constant("expC4", 0.04166838899254799), r, p)
	v.I("VFMADD213PS", v.constant("expC3", 0.1666652113199234), r, p)
	v.I("VFMADD213PS", v.constant("expC2", 0.4999999403953552), r, p)
	v.I("VMULPS", r, r, n)
	v.I("VFMADD213PS", r, n, p)
	return p, t, n
}

// exp returns a register with e^x, as exp32; x stays.
func (v *vec) exp(x string) string {
	p, t, c := v.reduce(x)
	v.I("VADDPS", v.constant("one", 1), p, p)
	v.I("VPSLLD", Imm(23), t, t)
	v.I("VPADDD", t, p, p)
	v.I("VCMPPS", Imm(1), v.constant("expMin", -87.33654), x, c) // x < expMin
	v.I("VANDNPS", p, c, p)
	v.I("VCMPPS", Imm(6), v.constant("expMax", 88.72283), x, c) // not x <= expMax
	v.I("VMULPS", v.bits("plusInf", 0x7f800000), x, t)
	v.I("VBLENDVPS", c, t, p, p)
	return p
}

// sigmoidInverse returns 1 + e^-x; x stays.
func (v *vec) sigmoidInverse(x string) string {
	minus := v.temp()
	v.I("VXORPS", v.bits("signBit", 1<<31), x, minus)
	e := v.exp(minus)
	v.I("VADDPS", v.constant("one", 1), e, e)
	return e
}

// sigmoid returns 1/(1 + e^-x); x stays.
func (v *vec) sigmoid(x string) string {
	e, y := v.sigmoidInverse(x), v.temp()
	v.I("VMOVUPS", v.constant("one", 1), y)
	v.I("VDIVPS", e, y, y)
	return y
}

// oneMinus sets to = 1 - x.
func (v *vec) oneMinus(x, to string) {
	v.I("VMOVUPS", v.constant("one", 1), to)
	v.I("VSUBPS", x, to, to)
}

// siluSlope sets to = s*(a*(1-s) + 1), the derivative of x*sigmoid(u) where s is
// sigmoid(u) and a = x*du/dx.
func (v *vec) siluSlope(a, s, to string) {
	t := v.temp()
	v.oneMinus(s, t)
	v.I("VFMADD213PS", v.constant("one", 1), a, t)
	v.I("VMULPS", s, t, to)
}

// geluArg returns x*(2A + 2AB*x^2); x stays.
func (v *vec) geluArg(x string) string {
	u, c := v.temp(), v.temp()
	v.I("VMULPS", x, x, u)
	v.I("VMOVUPS", v.constant("geluCubic", 2*geluA*geluB), c)
	v.I("VFMADD213PS", v.constant("geluSlope", 2*geluA), c, u)
	v.I("VMULPS", x, u, u)
	return u
}

// tanh returns tanh(x), as tanh32. VMINPS gives its last source if one is NaN.
func (v *vec) tanh(x string) string {
	z := v.temp()
	v.I("VANDPS", v.bits("allButSign", 1<<31-1), x, z)
	v.I("VMOVUPS", v.constant("tanhClamp", 9.125), "Y14")
	v.I("VMINPS", z, "Y14", z)
	v.I("VADDPS", z, z, z)
	m, s, t := v.reduce(z)
	v.I("VPSLLD", Imm(23), s, s)
	v.I("VPADDD", v.constant("one", 1), s, s)
	v.I("VSUBPS", v.constant("one", 1), s, t)
	v.I("VFMADD213PS", t, s, m)
	v.I("VADDPS", v.constant("two", 2), m, t)
	v.I("VDIVPS", t, m, m)
	v.I("VANDPS", v.bits("signBit", 1<<31), x, t)
	v.I("VORPS", t, m, m)
	return m
}
