package vec

import "math"

// e^x = 2^n * e^r with n = round(x / ln 2) and |r| <= ln 2 / 2. Adding
// expRound leaves n in the low bits of the sum. ln 2 is split in two parts, the
// first of which has 9 bits, so n*expLn2Hi is exact. e^r is the polynomial
// 1 + r + r^2*(expC2 + expC3 r + ...), whose coefficients minimize the largest
// relative error (3.1e-9, Remez exchange). 2^n is added to the exponent field;
// this fails outside [expMin, expMax], where the result is 0, +Inf or NaN.
const (
	expLog2e  = 1.44269504088896341
	expRound  = 0x1.8p23
	expLn2Hi  = 0.693359375
	expLn2Lo  = -2.12194440e-4
	expC2     = 0.4999999403953552
	expC3     = 0.1666652113199234
	expC4     = 0.04166838899254799
	expC5     = 0.00836874544620514
	expC6     = 0.0013814540579915047
	expMin    = -87.33654  // the smallest x whose e^x is a normal number
	expMax    = 88.72283   // the largest x whose e^x is finite
	tanhClamp = 9.125      // tanh rounds to 1 from 9.011 on
	geluA     = 0.79788456 // sqrt(2/pi)
	geluB     = 0.044715
	geluFar   = 100 // the sigmoid of geluArg is 0 or 1 from 10.2 on
)

var inf = float32(math.Inf(1))

// expReduce returns r, and n in the low bits of t.
func expReduce(x float32) (r float32, t uint32) {
	f := x*expLog2e + expRound
	n := f - expRound
	return x - n*expLn2Hi - n*expLn2Lo, math.Float32bits(f)
}

// exp32 is e^x within 1 ulp, 0 where e^x is subnormal.
func exp32(x float32) float32 {
	if !(x <= expMax) {
		return x * inf
	}
	if x < expMin {
		return 0
	}
	r, t := expReduce(x)
	p := ((((expC6*r+expC5)*r+expC4)*r+expC3)*r + expC2)
	p = p*(r*r) + r + 1
	return math.Float32frombits(math.Float32bits(p) + t<<23)
}

// Exp sets dst[i] = e^x[i] within 1 ulp. Results below the smallest normal
// number (x < -87.336) are 0.
func Exp(dst, x []float32) {
	same("Exp", len(dst), len(x))
	exp(dst, x)
}

func expGo(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = exp32(x[i])
	}
}

// ExpSub sets dst[i] = e^(x[i]-shift) and returns the sum of the results,
// accumulated in float64.
func ExpSub(dst, x []float32, shift float32) float64 {
	same("ExpSub", len(dst), len(x))
	return expSub(dst, x, shift)
}

func expSubGo(dst, x []float32, shift float32) float64 {
	x = x[:len(dst)]
	var s float64
	for i := range dst {
		dst[i] = exp32(x[i] - shift)
		s += float64(dst[i])
	}
	return s
}

// sumExpSubGo returns the sum of e^(x[i]-shift), accumulated in float64, without
// storing the terms. No x[i]-shift is above 87.
func sumExpSubGo(x []float32, shift float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(exp32(v - shift))
	}
	return s
}

// ExpSubScale sets dst[i] = alpha * e^(x[i]-shift): the softmax of a row whose
// log-sum-exp is shift, and with a factor its gradient. Where x[i]-shift is above 87 it may be +Inf already.
func ExpSubScale(dst, x []float32, shift, alpha float32) {
	same("ExpSubScale", len(dst), len(x))
	expSubScale(dst, x, shift, alpha)
}

func expSubScaleGo(dst, x []float32, shift, alpha float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = alpha * exp32(x[i]-shift)
	}
}
