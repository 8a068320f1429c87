package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// An implementation is one way the package can run; choose switches to it.
type implementation struct {
	name   string
	choose func()
}

// implementations has the portable one first; files for an architecture add theirs.
var implementations = []implementation{{"go", func() {}}}

// eachImplementation runs f with every implementation the machine has, and
// leaves the fastest one chosen.
func eachImplementation(t *testing.T, f func(t *testing.T)) {
	for _, impl := range implementations {
		impl.choose()
		t.Run(impl.name, f)
	}
}

// An elementwise case calls a routine through slices and says what it means.
type elementwise struct {
	name      string
	ins, outs int
	run       func(out, in [][]float32)
	want      func(in []float64) []float64
	// The error allowed, in ulps of max(|want|, floor): floor is the size of the
	// terms where they may cancel, but for a plain result it is 0.
	ulps, floor float64
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func rounded(x float64) float64   { return float64(float32(x)) }
func one(v float64) []float64     { return []float64{v} }
func geluArg64(x float64) float64 { return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

var testStep = AdamWStep{Clip: 0.5, LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Correction1: 0.271,
	Correction2: 0.002997001}

var elementwises = []elementwise{
	{"Add", 2, 1, func(o, x [][]float32) { Add(o[0], x[0], x[1]) },
		func(x []float64) []float64 { return one(x[0] + x[1]) }, 0.5, 0},
	{"Sub", 2, 1, func(o, x [][]float32) { Sub(o[0], x[0], x[1]) },
		func(x []float64) []float64 { return one(x[0] - x[1]) }, 0.5, 0},
	{"Mul", 2, 1, func(o, x [][]float32) { Mul(o[0], x[0], x[1]) },
		func(x []float64) []float64 { return one(x[0] * x[1]) }, 0.5, 0},
	{"Div", 2, 1, func(o, x [][]float32) { Div(o[0], x[0], x[1]) },
		func(x []float64) []float64 { return one(x[0] / x[1]) }, 0.51, 0},
	{"Scale", 1, 1, func(o, x [][]float32) { Scale(o[0], x[0], 1.75) },
		func(x []float64) []float64 { return one(1.75 * x[0]) }, 0.5, 0},
	{"Affine", 1, 1, func(o, x [][]float32) { Affine(o[0], x[0], 1.75, -3) },
		func(x []float64) []float64 { return one(1.75*x[0] - 3) }, 1, 10},
	{"Axpy", 2, 1, func(o, x [][]float32) { copy(o[0], x[0]); Axpy(o[0], x[1], 1.75) },
		func(x []float64) []float64 { return one(x[0] + 1.75*x[1]) }, 2, 10},
	{"MulAdd", 3, 1, func(o, x [][]float32) { copy(o[0], x[0]); MulAdd(o[0], x[1], x[2], 0.75) },
		func(x []float64) []float64 { return one(x[0] + 0.75*x[1]*x[2]) }, 4, 60},
	{"scaleMul", 2, 1, func(o, x [][]float32) { scaleMul(o[0], x[0], x[1], 1.5) },
		func(x []float64) []float64 { return one(x[0] * 1.5 * x[1]) }, 1.5, 0},
	{"subMul", 2, 1, func(o, x [][]float32) { subMul(o[0], x[0], x[1], 1.5) },
		func(x []float64) []float64 { return one((x[0] - 1.5) * x[1]) }, 1.5, 0},
	{"rmsNormGrad", 3, 1, func(o, x [][]float32) { rmsNormGrad(o[0], x[0], x[1], x[2], 1.5, 0.75) },
		func(x []float64) []float64 { return one(1.5*x[0]*x[2] - 0.75*x[1]) }, 4, 60},
	{"Exp", 1, 1, func(o, x [][]float32) { Exp(o[0], x[0]) },
		func(x []float64) []float64 { return one(math.Exp(x[0])) }, 1, 0},
	{"ExpSub", 1, 1, func(o, x [][]float32) { ExpSub(o[0], x[0], 3) },
		func(x []float64) []float64 { return one(math.Exp(rounded(x[0] - 3))) }, 1, 0},
	{"ExpSubScale", 1, 1, func(o, x [][]float32) { ExpSubScale(o[0], x[0], 3, 0.3) },
		func(x []float64) []float64 { return one(rounded(0.3) * math.Exp(rounded(x[0]-3))) }, 2.5, 0},
	{"Sigmoid", 1, 1, func(o, x [][]float32) { Sigmoid(o[0], x[0]) },
		func(x []float64) []float64 { return one(sigmoid64(x[0])) }, 2.5, 0},
	{"SigmoidGrad", 2, 1, func(o, x [][]float32) { SigmoidGrad(o[0], x[0], x[1]) },
		func(x []float64) []float64 { return one(x[0] * x[1] * (1 - x[1])) }, 2, 0},
	{"Tanh", 1, 1, func(o, x [][]float32) { Tanh(o[0], x[0]) },
		func(x []float64) []float64 { return one(math.Tanh(x[0])) }, 3, 0},
	{"TanhGrad", 2, 1, func(o, x [][]float32) { TanhGrad(o[0], x[0], x[1]) },
		func(x []float64) []float64 { return one(x[0] * (1 - x[1]*x[1])) }, 2, 60},
	{"SiLU", 1, 1, func(o, x [][]float32) { SiLU(o[0], x[0]) },
		func(x []float64) []float64 { return one(x[0] * sigmoid64(x[0])) }, 2.5, 0},
	{"SiLUGrad", 2, 1, func(o, x [][]float32) { SiLUGrad(o[0], x[0], x[1]) }, func(x []float64) []float64 {
		s := sigmoid64(x[1])
		return one(x[0] * s * (1 + x[1]*(1-s)))
	}, 32, 1}, // 1-s cancels for large x
	{"GELUTanh", 1, 1, func(o, x [][]float32) { GELUTanh(o[0], x[0]) },
		func(x []float64) []float64 { return one(x[0] * sigmoid64(geluArg64(x[0]))) }, 4, 1},
	{"GELUTanhGrad", 2, 1, func(o, x [][]float32) { GELUTanhGrad(o[0], x[0], x[1]) }, func(x []float64) []float64 {
		s := sigmoid64(geluArg64(x[1]))
		du := 2 * math.Sqrt(2/math.Pi) * (1 + 3*0.044715*x[1]*x[1])
		return one(x[0] * (s + x[1]*du*s*(1-s)))
	}, 32, 10},
	{"SwiGLU", 2, 1, func(o, x [][]float32) { SwiGLU(o[0], x[0], x[1]) },
		func(x []float64) []float64 { return one(x[0] * sigmoid64(x[0]) * x[1]) }, 3, 0},
	{"SwiGLUGrad", 3, 2, func(o, x [][]float32) { SwiGLUGrad(o[0], o[1], x[0], x[1], x[2]) },
		func(x []float64) []float64 {
			s := sigmoid64(x[1])
			return []float64{x[0] * x[2] * s * (1 + x[1]*(1-s)), x[0] * x[1] * s}
		}, 32, 1},
	{"rotate", 4, 2, func(o, x [][]float32) { rotate(o[0], o[1], x[0], x[1], x[2], x[3], -1, 1) },
		func(x []float64) []float64 {
			return []float64{x[0]*x[2] + x[1]*x[3], x[1]*x[2] - x[0]*x[3]}
		}, 2, 60},
	{"AdamW", 4, 3, func(o, x [][]float32) {
		copy(o[0], x[0])
		copy(o[1], x[1])
		for i, v := range x[2] {
			o[2][i] = float32(math.Abs(float64(v)))
		}
		AdamW(o[0], o[1], o[2], x[3], testStep)
	}, func(x []float64) []float64 {
		s := testStep
		g := x[3] * float64(s.Clip)
		m := s.Beta1*x[1] + (1-s.Beta1)*g
		v := s.Beta2*math.Abs(x[2]) + (1-s.Beta2)*g*g
		return []float64{x[0]*(1-s.LR*s.WeightDecay) - s.LR/s.Correction1*m/(math.Sqrt(v/s.Correction2)+s.Eps), m, v}
	}, 4, 4},
	{"rmsNormGradPlus", 4, 1, func(o, x [][]float32) { rmsNormGradPlus(o[0], x[0], x[1], x[2], x[3], 1.5, 0.75) },
		func(x []float64) []float64 { return one(1.5*x[0]*x[2] - 0.75*x[1] + x[3]) }, 4, 60},
}

// ulp is the distance between float32 numbers of the size of v.
func ulp(v float64) float64 {
	v = max(math.Abs(v), 0x1p-126)
	return math.Ldexp(1, math.Ilogb(v)-23)
}

const guard = float32(-12345)

// fenced returns n elements at an odd offset, with guard words on both sides.
func fenced(n, offset int) (whole, inner []float32) {
	whole = make([]float32, 16+offset+n+16)
	for i := range whole {
		whole[i] = guard
	}
	return whole, whole[16+offset : 16+offset+n]
}

func checkFence(t *testing.T, name string, whole []float32, n, offset int) {
	t.Helper()
	for i, v := range whole {
		if (i < 16+offset || i >= 16+offset+n) && v != guard {
			t.Fatalf("%s: length %d, offset %d: element %d outside was written", name, n, offset, i-16-offset)
		}
	}
}

// lengths are all the tails of every vector width and unrolling, and more than
// one piece.
func lengths() []int {
	var ns []int
	for n := range 68 {
		ns = append(ns, n)
	}
	if testing.Short() {
		return append(ns, 1<<16+1)
	}
	return append(ns, 1000, 1<<16-1, 1<<16+1, 150_001)
}

func normal(rng *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * scale)
	}
	return x
}

func TestElementwise(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, c := range elementwises {
			worst := 0.0
			for _, n := range lengths() {
				in, in64 := make([][]float32, c.ins), make([]float64, c.ins)
				for k := range in {
					_, in[k] = fenced(n, rng.IntN(8))
					copy(in[k], normal(rng, n, 4))
				}
				out, whole, off := make([][]float32, c.outs), make([][]float32, c.outs), rng.IntN(8)
				for k := range out {
					whole[k], out[k] = fenced(n, off)
				}
				c.run(out, in)
				for k := range out {
					checkFence(t, c.name, whole[k], n, off)
				}
				for i := range n {
					for k := range in {
						in64[k] = float64(in[k][i])
					}
					for k, want := range c.want(in64) {
						e := math.Abs(float64(out[k][i])-want) / ulp(max(math.Abs(want), c.floor))
						worst = max(worst, e)
						if !(e <= c.ulps) {
							t.Fatalf("%s: length %d: output %d[%d] = %g for %v, want %g: %.2f ulp", c.name, n, k, i,
								out[k][i], in64, want, e)
						}
					}
				}
			}
			t.Logf("%-14s %.2f ulp", c.name, worst)
		}
	})
}

// special are the values that kernels get wrong.
var special = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 0.5, 1e-42, -1e-42, 1e-20, 1e30, -1e30, 20, -20,
	87, 88.72283, 88.72284, 89, 105, -87, -87.33654, -87.33655, -88.7, -89, -104, -105,
	inf, -inf, float32(math.NaN()), math.Float32frombits(0xff800001), math.Float32frombits(0x7fffffff),
}

// TestSpecialValues holds every implementation to what the Go loop makes of
// every combination of special values.
func TestSpecialValues(t *testing.T) {
	for _, c := range elementwises {
		special := special
		if c.ins > 1 { // where huge terms cancel, a fused multiply-add may differ
			special = slices.DeleteFunc(slices.Clone(special), func(v float32) bool { return v == 1e30 || v == -1e30 })
		}
		n := 1
		for range min(c.ins, 3) {
			n *= len(special)
		}
		in := make([][]float32, c.ins)
		for k := range in {
			in[k] = make([]float32, n)
			for i := range in[k] {
				j := i
				for range min(k, 2) {
					j /= len(special)
				}
				in[k][i] = special[j%len(special)]
			}
		}
		var want [][]float32
		eachImplementation(t, func(t *testing.T) {
			out := make([][]float32, c.outs)
			for k := range out {
				out[k] = make([]float32, n)
			}
			c.run(out, in)
			if want == nil {
				want = out
				return
			}
			for k := range out {
				for i, got := range out[k] {
					w := want[k][i]
					if got == w && math.Signbit(float64(got)) == math.Signbit(float64(w)) || got != got && w != w {
						continue
					}
					d := math.Abs(float64(got) - float64(w))
					floor := 200 * c.floor // terms are larger here than in TestElementwise
					if math.IsInf(float64(w), 0) || !(d <= 2*max(c.ulps, 1)*ulp(max(math.Abs(float64(w)), floor))) {
						x := make([]float32, c.ins)
						for j := range x {
							x[j] = in[j][i]
						}
						t.Fatalf("%s%v: output %d = %g, in Go %g", c.name, x, k, got, w)
					}
				}
			}
		})
	}
}

// TestInPlace lets the first output be each of the inputs in turn.
func TestInPlace(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, c := range elementwises {
			switch c.name {
			case "Axpy", "MulAdd", "AdamW": // their first output is an input already
				continue
			}
			const n = 77
			in := make([][]float32, c.ins)
			for k := range in {
				in[k] = normal(rng, n, 4)
			}
			want := make([][]float32, c.outs)
			for k := range want {
				want[k] = make([]float32, n)
			}
			c.run(want, in)
			for same := range in {
				copied := make([][]float32, c.ins)
				for k := range copied {
					copied[k] = append([]float32(nil), in[k]...)
				}
				out := make([][]float32, c.outs)
				for k := range out {
					out[k] = copied[(same+k)%c.ins]
				}
				c.run(out, copied)
				for k := range out {
					for i := range n {
						if out[k][i] != want[k][i] {
							t.Fatalf("%s: output 0 in input %d: output %d[%d] = %g, want %g", c.name, same, k, i,
								out[k][i], want[k][i])
						}
					}
				}
			}
		}
	})
}

// TestExpRange checks e^x, tanh and sigmoid over their whole range.
func TestExpRange(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		n := 1 << 20
		if testing.Short() {
			n = 1 << 17
		}
		x, y := make([]float32, n), make([]float32, n)
		for _, c := range []struct {
			name   string
			f      func(y, x []float32)
			want   func(float64) float64
			lo, hi float64
			ulps   float64
		}{
			{"Exp", Exp, math.Exp, -87.3365, 88.7228, 1},
			{"Exp", Exp, math.Exp, -1, 1, 1},
			{"Tanh", Tanh, math.Tanh, -10, 10, 3},
			{"Tanh", Tanh, math.Tanh, -1e-3, 1e-3, 3},
			{"Sigmoid", Sigmoid, sigmoid64, -87, 20, 2.5},
			{"GELUTanh", GELUTanh, func(x float64) float64 { return x * sigmoid64(geluArg64(x)) }, -1, 20, 4},
		} {
			for i := range x {
				x[i] = float32(c.lo + (c.hi-c.lo)*float64(i)/float64(n))
			}
			c.f(y, x)
			worst := 0.0
			for i := range y {
				want := c.want(float64(x[i]))
				worst = max(worst, math.Abs(float64(y[i])-want)/ulp(want))
			}
			t.Logf("%s in [%g, %g]: %.3f ulp", c.name, c.lo, c.hi, worst)
			if worst > c.ulps {
				t.Errorf("%s in [%g, %g]: %.3f ulp, want at most %g", c.name, c.lo, c.hi, worst, c.ulps)
			}
		}
	})
}

func TestExpLimits(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		nan := float32(math.NaN())
		x := []float32{inf, -inf, nan, 88.72283, 88.72284, 1e30, -87.33655, -1e30, 0, math.Float32frombits(0x7f800001),
			math.Float32frombits(0xffc0ffff)}
		want := []float32{inf, 0, nan, 3.4027985e38, inf, inf, 0, 0, 1, nan, nan}
		y := make([]float32, len(x))
		Exp(y, x)
		for i := range y {
			if y[i] != want[i] && !(y[i] != y[i] && want[i] != want[i]) {
				t.Errorf("exp(%g) = %g, want %g", x[i], y[i], want[i])
			}
		}
	})
}

// Far from 0 the slope of GELU is 0 or 1, also where squares overflow.
func TestGELUTanhGradLimits(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		nan := float32(math.NaN())
		x := []float32{12, 100, 101, 1e10, 3e19, 1e36, math.MaxFloat32, inf, -101, -1e10, -3e19, -1e36, -math.MaxFloat32, -inf, nan}
		want := []float32{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, nan}
		dy, dx := slices.Repeat([]float32{1}, len(x)), make([]float32, len(x))
		GELUTanhGrad(dx, dy, x)
		for i := range dx {
			if dx[i] != want[i] && !(dx[i] != dx[i] && want[i] != want[i]) {
				t.Errorf("slope at %g: %g, want %g", x[i], dx[i], want[i])
			}
		}
	})
}

func TestReductions(t *testing.T) {
	cases := []struct {
		name string
		run  func(a, b, c []float32) float64
		term func(a, b, c float64) float64
		tol  float64 // relative to the sum of the terms' sizes
	}{
		{"Sum", func(a, _, _ []float32) float64 { return Sum(a) }, func(a, _, _ float64) float64 { return a }, 1e-13},
		{"SumSquares", func(a, _, _ []float32) float64 { return SumSquares(a) },
			func(a, _, _ float64) float64 { return a * a }, 1e-13},
		{"Dot", func(a, b, _ []float32) float64 { return Dot(a, b) }, func(a, b, _ float64) float64 { return a * b },
			1e-13},
		{"dot3", func(a, b, c []float32) float64 { return dot3(a, b, c) },
			func(a, b, c float64) float64 { return a * b * c }, 1e-13},
		{"sumExpSub", func(a, _, _ []float32) float64 { return sumExpSub(a, 2) },
			func(a, _, _ float64) float64 { return math.Exp(a - 2) }, 1e-6},
		{"ExpSub", func(a, b, _ []float32) float64 { return ExpSub(b, a, 2) },
			func(a, _, _ float64) float64 { return math.Exp(a - 2) }, 1e-6},
	}
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, c := range cases {
			for _, n := range lengths() {
				var x [3][]float32
				for k := range x {
					_, x[k] = fenced(n, rng.IntN(8)) // guard words would show in the sum
					copy(x[k], normal(rng, n, 2))
				}
				var want, size float64
				for i := range n {
					v := c.term(float64(x[0][i]), float64(x[1][i]), float64(x[2][i]))
					want += v
					size += math.Abs(v)
				}
				if got := c.run(x[0], x[1], x[2]); !(math.Abs(got-want) <= c.tol*size) {
					t.Fatalf("%s of %d = %g, want %g", c.name, n, got, want)
				}
			}
		}
	})
}

func TestMax(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, n := range lengths() {
			_, x := fenced(n, rng.IntN(8))
			want := -inf
			for i := range x {
				x[i] = float32(rng.NormFloat64()) - 20000 // the guard words are larger
				want = max(want, x[i])
			}
			if got := Max(x); got != want {
				t.Fatalf("Max of %d = %g, want %g", n, got, want)
			}
			for i := 0; i < n; i += 1 + n/50 {
				old := x[i]
				x[i] = 5
				if got := Max(x); got != 5 {
					t.Fatalf("Max of %d with 5 at %d = %g", n, i, got)
				}
				x[i] = float32(math.NaN())
				if got := Max(x); got == got {
					t.Fatalf("Max of %d with NaN at %d = %g", n, i, got)
				}
				x[i] = old
			}
		}
	})
}

func TestLengthsMustAgree(t *testing.T) {
	a, b := make([]float32, 3), make([]float32, 4)
	for name, f := range map[string]func(){
		"Add":      func() { Add(a, a, b) },
		"Exp":      func() { Exp(a, b) },
		"Dot":      func() { Dot(a, b) },
		"AdamW":    func() { AdamW(a, a, a, b, testStep) },
		"FromBF16": func() { FromBF16(a, make([]uint16, 2)) },
		"RoPERow":  func() { RoPERow(a, a, b, 1) },
	} {
		func() {
			defer func() {
				if r := fmt.Sprint(recover()); len(r) < 10 || r[:4+len(name)] != "vec."+name {
					t.Errorf("%s of unequal lengths: %s", name, r)
				}
			}()
			f()
		}()
	}
}
