package vec

import "math"

func sigmoid32(x float32) float32 { return 1 / (1 + exp32(-x)) }

// tanh32 is m/(m+2) with m = e^(2|x|) - 1. The subtraction is done inside the
// exponential, (e^r - 1)*2^n + (2^n - 1), so that small results are accurate.
func tanh32(x float32) float32 {
	z := min(float32(math.Abs(float64(x))), tanhClamp)
	r, t := expReduce(z + z)
	p := ((((expC6*r+expC5)*r+expC4)*r+expC3)*r + expC2)
	p = p*(r*r) + r
	s := math.Float32frombits(math.Float32bits(1) + t<<23)
	m := p*s + (s - 1)
	return float32(math.Copysign(float64(m/(m+2)), float64(x)))
}

// geluArg is the u for which gelu(x) = x*sigmoid(u).
func geluArg(x float32) float32 { return x * (2*geluA + 2*geluA*geluB*(x*x)) }

// Sigmoid sets y[i] = 1/(1+e^-x[i]).
func Sigmoid(y, x []float32) {
	same("Sigmoid", len(y), len(x))
	sigmoid(y, x)
}

func sigmoidGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = sigmoid32(x[i])
	}
}

// SigmoidGrad sets dx[i] = dy[i]*y[i]*(1-y[i]), y being the output of Sigmoid.
func SigmoidGrad(dx, dy, y []float32) {
	same("SigmoidGrad", len(dx), len(dy), len(y))
	sigmoidGrad(dx, dy, y)
}

func sigmoidGradGo(dx, dy, y []float32) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * y[i] * (1 - y[i])
	}
}

// Tanh sets y[i] = tanh(x[i]).
func Tanh(y, x []float32) {
	same("Tanh", len(y), len(x))
	tanh(y, x)
}

func tanhGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = tanh32(x[i])
	}
}

// TanhGrad sets dx[i] = dy[i]*(1-y[i]^2), y being the output of Tanh.
func TanhGrad(dx, dy, y []float32) {
	same("TanhGrad", len(dx), len(dy), len(y))
	tanhGrad(dx, dy, y)
}

func tanhGradGo(dx, dy, y []float32) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * (1 - y[i]*y[i])
	}
}

// SiLU sets y[i] = x[i]*sigmoid(x[i]).
func SiLU(y, x []float32) {
	same("SiLU", len(y), len(x))
	silu(y, x)
}

func siluGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = x[i] / (1 + exp32(-x[i]))
	}
}

// SiLUGrad sets dx[i] = dy[i]*s*(1 + x[i]*(1-s)) with s = sigmoid(x[i]).
func SiLUGrad(dx, dy, x []float32) {
	same("SiLUGrad", len(dx), len(dy), len(x))
	siluGrad(dx, dy, x)
}

func siluGradGo(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		s := sigmoid32(x[i])
		dx[i] = dy[i] * (s * (x[i]*(1-s) + 1))
	}
}

// GELUTanh sets y[i] = x/2*(1 + tanh(u)), u = sqrt(2/pi)*(x + 0.044715*x^3),
// computed as x*sigmoid(2u), which does not cancel for negative x.
func GELUTanh(y, x []float32) {
	same("GELUTanh", len(y), len(x))
	geluTanh(y, x)
}

func geluTanhGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = x[i] / (1 + exp32(-geluArg(x[i])))
	}
}

// GELUTanhGrad sets dx[i] = dy[i] times the derivative of GELUTanh at x[i].
func GELUTanhGrad(dx, dy, x []float32) {
	same("GELUTanhGrad", len(dx), len(dy), len(x))
	geluTanhGrad(dx, dy, x)
}

func geluTanhGradGo(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		v := min(max(x[i], -geluFar), geluFar) // beyond it s is 0 or 1, and no product may overflow
		s := sigmoid32(geluArg(v))
		du := 2*geluA + 6*geluA*geluB*(v*v)
		dx[i] = dy[i] * (s * (v*du*(1-s) + 1))
	}
}
