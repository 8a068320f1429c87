package main

// arithmetic writes the routines of arith.go and the last passes of the rows.
func (v *vec) arithmetic() {
	for _, op := range []struct{ name, instruction string }{
		{"add", "VADDPS"}, {"sub", "VSUBPS"}, {"mul", "VMULPS"}, {"div", "VDIVPS"},
	} {
		v.elementwise(routine{name: op.name, outs: words("dst"), ins: words("a b")}, 4, func(x []string) []string {
			v.I(op.instruction, x[1], x[0], x[0])
			return x[:1]
		})
	}
	v.elementwise(routine{name: "scale", outs: words("dst"), ins: words("x"), scalars: words("alpha")}, 4,
		func(x []string) []string {
			v.I("VMULPS", v.scalars["alpha"], x[0], x[0])
			return x
		})
	v.elementwise(routine{name: "affine", outs: words("dst"), ins: words("x"), scalars: words("alpha beta")}, 4,
		func(x []string) []string {
			v.I("VFMADD213PS", v.scalars["beta"], v.scalars["alpha"], x[0])
			return x
		})
	v.elementwise(routine{name: "axpy", outs: words("dst"), ins: words("dst x"), scalars: words("alpha")}, 4,
		func(x []string) []string {
			v.I("VFMADD231PS", v.scalars["alpha"], x[1], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "mulAdd", outs: words("dst"), ins: words("dst a b"), scalars: words("alpha")}, 2,
		func(x []string) []string {
			v.I("VMULPS", v.scalars["alpha"], x[2], x[2])
			v.I("VFMADD231PS", x[1], x[2], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "scaleMul", outs: words("dst"), ins: words("a b"), scalars: words("alpha")}, 4,
		func(x []string) []string {
			v.I("VMULPS", v.scalars["alpha"], x[0], x[0])
			v.I("VMULPS", x[1], x[0], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "subMul", outs: words("dst"), ins: words("a b"), scalars: words("c")}, 4,
		func(x []string) []string {
			v.I("VSUBPS", v.scalars["c"], x[0], x[0])
			v.I("VMULPS", x[1], x[0], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "rmsNormGrad", outs: words("dx"), ins: words("dy x w"), scalars: words("rstd c")}, 2,
		func(x []string) []string {
			v.I("VMULPS", v.scalars["rstd"], x[0], x[0])
			v.I("VMULPS", v.scalars["c"], x[1], x[1])
			v.I("VFMSUB213PS", x[1], x[2], x[0])
			return x[:1]
		})
	v.elementwise(routine{name: "rotate", outs: words("y1 y2"), ins: words("x1 x2 cos sin"), scalars: words("sign")},
		2, func(x []string) []string {
			x1, x2, cos, sin, t := x[0], x[1], x[2], x[3], v.temp()
			v.I("VMULPS", v.scalars["sign"], sin, sin)
			v.I("VMULPS", x2, sin, t)
			v.I("VMULPS", x1, sin, sin)
			v.I("VFMADD231PS", x2, cos, sin)
			v.I("VFMSUB213PS", t, cos, x1)
			return []string{x1, sin}
		})
}

// optimizer writes AdamW, rounding as adamwGo does.
func (v *vec) optimizer() {
	v.elementwise(routine{
		name: "adamw", outs: words("p m v"), ins: words("p m v grad"),
		structure: "adamwScalars", structured: words("clip decay mix1 beta2 mix2 corr eps negativeLR"),
	}, 1, func(x []string) []string {
		p, m, r, g, t := x[0], x[1], x[2], x[3], v.temp()
		v.I("VMULPS", v.scalars["clip"], g, g)
		v.I("VSUBPS", m, g, t)
		v.I("VFMADD231PS", v.scalars["mix1"], t, m)
		v.I("VMULPS", v.scalars["beta2"], r, r)
		v.I("VMULPS", v.scalars["mix2"], g, t)
		v.I("VMULPS", g, t, t)
		v.I("VADDPS", t, r, r)
		v.I("VSQRTPS", r, t)
		v.I("VDIVPS", v.scalars["corr"], t, t)
		v.I("VADDPS", v.scalars["eps"], t, t)
		v.I("VMULPS", v.scalars["negativeLR"], m, g)
		v.I("VDIVPS", t, g, g)
		v.I("VMULPS", v.scalars["decay"], p, p)
		v.I("VADDPS", g, p, p)
		return []string{p, m, r}
	})
}
