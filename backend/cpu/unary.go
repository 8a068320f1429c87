package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(unary[float32], unary[float64])
	plain(unaryGrad[float32], unaryGrad[float64])
	fast(vectorUnary)
	fast(vectorUnaryGrad)
}

// unary: y = func(x).
func unary[F float](w *work, k kernels.Unary, a args[F]) {
	y, x := a.f[0], a.f[1]
	f := functions[k.Func].value
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = F(f(float64(x[i])))
		}
	})
}

// unaryGrad: dx = dy func'(x), func' written in the output where the contract says so.
func unaryGrad[F float](w *work, k kernels.UnaryGrad, a args[F]) {
	dx, dy, z := a.f[0], a.f[1], a.f[2]
	f := functions[k.Func].derivative
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dx[i] = F(float64(dy[i]) * f(float64(z[i])))
		}
	})
}

// functions in float64; derivatives of the output y (exp, sqrt, tanh, sigmoid, relu)
// or of the input x.
var functions = [...]struct{ value, derivative func(float64) float64 }{
	kernels.FuncExp:     {math.Exp, func(y float64) float64 { return y }},
	kernels.FuncLog:     {math.Log, func(x float64) float64 { return 1 / x }},
	kernels.FuncSqrt:    {math.Sqrt, func(y float64) float64 { return 0.5 / y }},
	kernels.FuncTanh:    {math.Tanh, func(y float64) float64 { return 1 - y*y }},
	kernels.FuncSigmoid: {sigmoid, func(y float64) float64 { return y * (1 - y) }},
	kernels.FuncReLU: {
		func(x float64) float64 { return max(x, 0) },
		func(y float64) float64 {
			if y <= 0 {
				return 0
			}
			return 1 // of NaN as well, as in PyTorch: it must not hide
		},
	},
	kernels.FuncGELU: {
		func(x float64) float64 { return x * normalCDF(x) },
		func(x float64) float64 { return normalCDF(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) },
	},
	// x (1 + tanh(u)) / 2 = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x³)
	kernels.FuncGELUTanh: {
		func(x float64) float64 { return x * sigmoid(2*geluU(x)) },
		func(x float64) float64 {
			x = min(max(x, -100), 100) // beyond it s is 0 or 1, and no product may overflow
			s, du := sigmoid(2*geluU(x)), math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
			return s + x*s*(1-s)*2*du
		},
	},
	kernels.FuncSiLU: {
		func(x float64) float64 { return x * sigmoid(x) },
		siluDerivative,
	},
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// normalCDF is (1 + erf(x/√2)) / 2, without cancellation for negative x.
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func geluU(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

func siluDerivative(x float64) float64 {
	s := sigmoid(x)
	return s * (1 + x*(1-s))
}

// vectorFunctions are those of functions that have vector routines.
var vectorFunctions = map[kernels.Func]struct {
	value      func(y, x []float32)
	derivative func(dx, dy, z []float32)
}{
	kernels.FuncExp:      {vec.Exp, vec.Mul},
	kernels.FuncTanh:     {vec.Tanh, vec.TanhGrad},
	kernels.FuncSigmoid:  {vec.Sigmoid, vec.SigmoidGrad},
	kernels.FuncGELUTanh: {vec.GELUTanh, vec.GELUTanhGrad},
	kernels.FuncSiLU:     {vec.SiLU, vec.SiLUGrad},
	kernels.FuncReLU:     {relu, reluGrad},
}

func relu(y, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = max(v, 0)
	}
}

// reluGrad masks bits: whether y is 0 cannot be predicted.
func reluGrad(dx, dy, y []float32) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		positive := uint32(-int32(math.Float32bits(y[i])) >> 31) // y is never -0
		dx[i] = math.Float32frombits(math.Float32bits(dy[i]) & positive)
	}
}

func vectorUnary(w *work, k kernels.Unary, a []tensor.Arg) bool {
	f, ok := vectorFunctions[k.Func]
	if !ok || !atMost32Bits(a) {
		return false
	}
	w.blocks(k.N, func(s *scratch, lo, hi int) { f.value(s.store(a[0], lo, hi), s.load(a[1], lo, hi)) })
	return true
}

func vectorUnaryGrad(w *work, k kernels.UnaryGrad, a []tensor.Arg) bool {
	f, ok := vectorFunctions[k.Func]
	if !ok || !atMost32Bits(a) {
		return false
	}
	w.blocks(k.N, func(s *scratch, lo, hi int) {
		f.derivative(s.store(a[0], lo, hi), s.load(a[1], lo, hi), s.load(a[2], lo, hi))
	})
	return true
}
