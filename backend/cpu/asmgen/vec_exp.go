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
			v.sub(x[0], v.scalars["shift"], x[0])
			y := v.expFar(x[0])
			v.mul(y, v.scalars["alpha"], y)
			return []string{y}
		})
	v.expSum(routine{name: "expSub", outs: words("dst"), ins: words("x"), scalars: words("shift")})
	v.expSum(routine{name: "sumExpSub", ins: words("x"), scalars: words("shift")})

	v.elementwise(routine{name: "sigmoid", outs: words("y"), ins: words("x")}, 2, func(x []string) []string {
		return []string{v.sigmoid(v.minus(x[0]))}
	})
	v.elementwise(routine{name: "sigmoidGrad", outs: words("dx"), ins: words("dy y")}, 2, func(x []string) []string {
		t := v.oneMinus(x[1])
		v.mul(x[0], x[1], x[0])
		v.mul(x[0], t, x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "tanh", outs: words("y"), ins: words("x")}, 3, func(x []string) []string {
		return []string{v.tanh(x[0])}
	})
	v.elementwise(routine{name: "tanhGrad", outs: words("dx"), ins: words("dy y")}, 2, func(x []string) []string {
		x[1] = v.fnma(x[1], x[1], v.constant("one", 1))
		v.mul(x[0], x[1], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "silu", outs: words("y"), ins: words("x")}, 2, func(x []string) []string {
		v.div(x[0], v.sigmoidInverse(v.minus(x[0])), x[0])
		return x
	})
	v.elementwise(routine{name: "siluGrad", outs: words("dx"), ins: words("dy x")}, 2, func(x []string) []string {
		v.mul(x[0], v.siluSlope(x[1], v.sigmoid(v.minus(x[1]))), x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "geluTanh", outs: words("y"), ins: words("x")}, 3, func(x []string) []string {
		v.div(x[0], v.sigmoidInverse(v.minusGELUArg(x[0])), x[0])
		return x
	})
	v.elementwise(routine{name: "geluTanhGrad", outs: words("dx"), ins: words("dy x")}, 2, func(x []string) []string {
		v.clamp(x[1], v.constant("geluFar", 100)) // as geluTanhGradGo
		s, u := v.sigmoid(v.minusGELUArg(x[1])), v.temp()
		v.mul(x[1], x[1], u)
		u = v.linear(u, "geluSlope", 2*geluA, "geluCubicSlope", 6*geluA*geluB)
		v.mul(x[1], u, x[1]) // x*du/dx
		v.mul(x[0], v.siluSlope(x[1], s), x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "swiglu", outs: words("y"), ins: words("gate up"), narrows: words("y gate up")}, 2, func(x []string) []string {
		v.div(x[0], v.sigmoidInverse(v.minus(x[0])), x[0])
		v.mul(x[0], x[1], x[0])
		return x[:1]
	})
	v.elementwise(routine{name: "swigluGrad", outs: words("dgate dup"), ins: words("dy gate up"), narrows: words("dgate dup dy gate up")},
		2, func(x []string) []string {
			dy, gate, up := x[0], x[1], x[2]
			s := v.sigmoid(v.minus(gate))
			v.mul(up, dy, up)
			v.mul(up, v.siluSlope(gate, s), up)
			v.mul(gate, s, gate)
			v.mul(dy, gate, dy)
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
	defer func(m machine) { v.machine = m }(v.machine)
	v.machine = v.grouped()
	v.open(r)
	acc := v.zero()
	to := ""
	if r.outs != nil {
		to = "dst"
	}
	exp := v.expBelow
	if r.outs != nil { // expSub knows no bound of x - shift
		exp = v.exp
	}
	v.expTerms(acc, to, exp)
	v.total([]string{acc})
	v.Return()
}

// expTerms adds the e^(x-shift) to acc, and stores them unless to is "".
func (v *vec) expTerms(acc, to string, exp func(x string) string) {
	var terms [3]string
	v.runGroups(len(terms), func(way, offset int) {
		x := v.temp()
		v.loadFrom("x", offset, x)
		if to == "" && !v.masked {
			v.prefetch("x", offset+sumAhead)
		}
		v.sub(x, v.scalars["shift"], x)
		y := exp(x)
		v.release(x)
		if to != "" {
			v.storeTo(y, to, offset)
		}
		if v.masked {
			v.clearTail(y)
		}
		terms[way] = y
	}, func(ways int) {
		for _, y := range terms[1:ways] {
			v.add(terms[0], y, terms[0])
		}
		y, t := terms[0], v.temp()
		v.accumulate(y, t, acc)
	})
}

// expConstants say what reduce adds to n, an even number, that halves are rounded as without it, and the power of two with which
// it multiplies the polynomial.
type expConstants struct {
	suffix string // of their names
	toN    float64
	times  float64
}

var (
	ofExp     = expConstants{"", 0, 1}
	ofHalfExp = expConstants{"Half", 128, 0.5} // n + 128 is the exponent of 2 * 2^n
)

// of is a constant times c.times.
func (c expConstants) of(v *vec, name string, value float64) string {
	return v.constant(name+c.suffix, c.times*value)
}

// reduce returns r = x - n ln 2, with n and what c adds in the low bits of t, and the polynomial
// of which e^r = 1 + r + p*r^2, times c.times; x stays.
func (v *vec) reduce(x string, c expConstants) (r, t, p string) {
	t, p, r = v.temp(), v.temp(), v.temp()
	round := v.constant("expRound"+c.suffix, 0x1.8p23+c.toN)
	v.set(round, t)
	v.addMul(x, v.constant("expLog2e", math.Log2E), t)
	v.sub(t, round, p)
	v.copy(x, r)
	v.subMul(p, v.constant("expLn2Hi", 0.693359375), r)
	v.subMul(p, v.constant("expLn2Lo", -2.12194440e-4), r)
	v.set(c.of(v, "expC6", 0.0013814540579915047), p)
	p = v.fma(p, r, c.of(v, "expC5", 0.00836874544620514))
	p = v.fma(p, r, c.of(v, "expC4", 0.04166838899254799))
	p = v.fma(p, r, c.of(v, "expC3", 0.1666652113199234))
	p = v.fma(p, r, c.of(v, "expC2", 0.4999999403953552))
	return r, t, p
}

// expParts returns p = e^r of reduce, times c.times, with n in the exponent bits of t; x stays.
func (v *vec) expParts(x string, c expConstants) (r, t, p string) {
	r, t, p = v.reduce(x, c)
	one := c.of(v, "one", 1)
	p = v.fma(p, r, one)
	p = v.fma(p, r, one)
	v.shiftLeft(23, t, t)
	return r, t, p
}

// exp returns a register with e^x, as exp32; x stays.
func (v *vec) exp(x string) string {
	r, t, p := v.expParts(x, ofExp)
	v.addInt(p, t, p)
	v.zeroBelow(x, v.constant("expMin", -87.33654), p, r)
	v.mulBeyond(x, v.constant("expMax", 88.72283), v.bits("plusInf", 0x7f800000), p, r, t)
	v.release(r, t)
	return p
}

// expBelow is exp for an x that is not above 87, or NaN, with its bits; x stays. It is half of e^r times 2 * 2^n, of which t is all
// bits: times that a NaN stays one.
func (v *vec) expBelow(x string) string {
	r, t, p := v.expParts(x, ofHalfExp)
	v.mulNotBelow(x, v.constant("expMin", -87.33654), t, p, r)
	v.release(r, t)
	return p
}

// expFar is expBelow, but +Inf where x is above 87.7; x becomes at most 88, of which expBelow makes that.
func (v *vec) expFar(x string) string {
	far := v.temp()
	v.min(v.held(v.constant("expFar", 88), far), x, x) // a NaN stays
	v.release(far)
	return v.expBelow(x)
}

// minus returns -x; x stays.
func (v *vec) minus(x string) string {
	y := v.temp()
	v.negate(x, y)
	return y
}

// sigmoidInverse returns 1 + e^z, the inverse of sigmoid(-z); z is released.
func (v *vec) sigmoidInverse(z string) string {
	e := v.exp(z)
	v.release(z)
	v.add(e, v.constant("one", 1), e)
	return e
}

// sigmoid returns sigmoid(-z); z is released.
func (v *vec) sigmoid(z string) string {
	e, y := v.sigmoidInverse(z), v.temp()
	v.div(v.held(v.constant("one", 1), y), e, y)
	v.release(e)
	return y
}

// clamp makes x no larger than most, nor smaller than -most; a NaN stays.
func (v *vec) clamp(x, most string) {
	size, t := v.temp(), v.temp()
	v.abs(x, size)
	v.min(v.held(most, t), size, size)
	v.copySign(x, size, t)
	v.copy(size, x)
	v.release(size, t)
}

// oneMinus returns 1 - x; x stays.
func (v *vec) oneMinus(x string) string {
	y := v.temp()
	v.sub(v.held(v.constant("one", 1), y), x, y)
	return y
}

// siluSlope returns s*(a*(1-s) + 1), the derivative of x*sigmoid(u) where s is
// sigmoid(u) and a = x*du/dx; both stay.
func (v *vec) siluSlope(a, s string) string {
	t := v.oneMinus(s)
	t = v.fma(t, a, v.constant("one", 1))
	v.mul(t, s, t)
	return t
}

// minusGELUArg returns -x*(2A + 2AB*x^2); x stays.
func (v *vec) minusGELUArg(x string) string {
	u := v.temp()
	v.mul(x, x, u)
	u = v.linear(u, "minusGELUSlope", -2*geluA, "minusGELUCubic", -2*geluA*geluB)
	v.mul(u, x, u)
	return u
}

// linear returns a + b*x; x is given up.
func (v *vec) linear(x, nameA string, a float64, nameB string, b float64) string {
	t := v.temp()
	x = v.fma(x, v.held(v.constant(nameB, b), t), v.constant(nameA, a))
	v.release(t)
	return x
}

// tanh returns tanh(x), as tanh32; x stays.
func (v *vec) tanh(x string) string {
	z, clamp := v.temp(), v.temp()
	v.abs(x, z)
	v.min(v.held(v.constant("tanhClamp", 9.125), clamp), z, z)
	v.add(z, z, z)
	v.release(clamp)
	r, s, m := v.reduce(z, ofExp)
	v.mul(r, r, z)
	m = v.fma(m, z, r)
	v.shiftLeft(23, s, s)
	v.addInt(s, v.constant("one", 1), s)
	v.sub(s, v.constant("one", 1), r)
	m = v.fma(m, s, r)
	v.add(m, v.constant("two", 2), r)
	v.div(m, r, m)
	v.copySign(x, m, r)
	return m
}
