package main

// arithmetic writes the routines of arith.go and the last passes of the rows.
func (v *vec) arithmetic() {
	for _, op := range []struct {
		name    string
		emit    func(a, b, to string)
		narrows []string
	}{{"add", v.add, words("dst a b")}, {"sub", v.sub, nil}, {"mul", v.mul, nil}, {"div", v.div, nil}} {
		v.elementwise(routine{name: op.name, outs: words("dst"), ins: words("a b"), narrows: op.narrows}, 4, func(x []string) []string {
			op.emit(x[0], x[1], x[0])
			return x[:1]
		})
	}
	v.elementwise(routine{name: "scale", outs: words("dst"), ins: words("x"), scalars: words("alpha")}, 4,
		func(x []string) []string {
			v.mul(x[0], v.scalars["alpha"], x[0])
			return x
		})
	v.elementwise(routine{name: "affine", outs: words("dst"), ins: words("x"), scalars: words("alpha beta")}, 4,
		func(x []string) []string {
			x[0] = v.fma(x[0], v.scalars["alpha"], v.scalars["beta"])
			return x
		})
	v.elementwise(routine{name: "axpy", outs: words("dst"), ins: words("dst x"), scalars: words("alpha")}, 4,
		func(x []string) []string {
			v.addMul(x[1], v.scalars["alpha"], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "mulAdd", outs: words("dst"), ins: words("dst a b"), scalars: words("alpha")}, 2,
		func(x []string) []string {
			v.mul(x[2], v.scalars["alpha"], x[2])
			v.addMul(x[2], x[1], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "scaleMul", outs: words("dst"), ins: words("a b"), scalars: words("alpha"), narrows: words("dst a")}, 4,
		func(x []string) []string {
			v.mul(x[0], v.scalars["alpha"], x[0])
			v.mul(x[0], x[1], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "subMul", outs: words("dst"), ins: words("a b"), scalars: words("c")}, 4,
		func(x []string) []string {
			v.sub(x[0], v.scalars["c"], x[0])
			v.mul(x[0], x[1], x[0])
			return x[:1]
		})
	normGrad := func(x []string) string {
		v.mul(x[0], v.scalars["rstd"], x[0])
		v.mul(x[1], v.scalars["c"], x[1])
		return v.fms(x[0], x[2], x[1])
	}
	v.elementwise(routine{name: "rmsNormGrad", outs: words("dx"), ins: words("dy x w"), scalars: words("rstd c"), narrows: words("dx dy x")},
		2, func(x []string) []string { return []string{normGrad(x)} })
	v.elementwise(routine{name: "rmsNormGradPlus", outs: words("dx"), ins: words("dy x w plus"), scalars: words("rstd c"),
		narrows: words("dx dy x plus")}, 2, func(x []string) []string {
		d := normGrad(x)
		v.add(x[3], d, d)
		return []string{d}
	})
}

// optimizer writes AdamW, rounding as adamwGo does.
func (v *vec) optimizer() {
	v.elementwise(routine{
		name: "adamw", outs: words("p m v"), ins: words("p m v grad"),
		structure: "adamwScalars", structured: words("clip decay mix1 beta2 mix2 corr eps negativeLR"),
	}, 1, func(x []string) []string {
		p, m, r, g, t := x[0], x[1], x[2], x[3], v.temp()
		v.mul(g, v.scalars["clip"], g)
		v.sub(g, m, t)
		v.addMul(t, v.scalars["mix1"], m)
		v.mul(r, v.scalars["beta2"], r)
		v.mul(g, v.scalars["mix2"], t)
		v.mul(t, g, t)
		v.add(r, t, r)
		v.sqrt(r, t)
		v.div(t, v.scalars["corr"], t)
		v.add(t, v.scalars["eps"], t)
		v.mul(m, v.scalars["negativeLR"], g)
		v.div(g, t, g)
		v.mul(p, v.scalars["decay"], p)
		v.add(p, g, p)
		return []string{p, m, r}
	})
}
