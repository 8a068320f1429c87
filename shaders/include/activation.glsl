// The functions of neural networks. What Vulkan's own exp, tanh and log do not promise, precision
// near 0 or 1 and the limits, is made here; the polynomials are minimax fits, relative error below 5e-9.

const float SQRT_2_PI = 0.7978845608; // sqrt(2/pi)

float sigmoid(float x) { return 1 / (1 + exp(-x)); }

float silu(float x) { return x * sigmoid(x); }

float silu_grad(float x) {
	float s = sigmoid(x);
	return s * (1 + x * (1 - s));
}

float hyperbolic_tangent(float x) {
	float a = abs(x), z = x * x;
	if (a < 0.625)
		return fma(x * z, fma(z, fma(z, fma(z, fma(z, -0.00570485523, 0.02063895754), -0.05373967051), 0.1333144158), -0.3333328191), x);
	float t = 1 - 2 / (exp(2 * a) + 1);
	return x < 0 ? -t : t;
}

// x = 2^e (1+f) with 1+f between sqrt(1/2) and sqrt(2); log(1+f) = 2 atanh(s), s = f/(2+f).
float natural_log(float x) {
	if (!(x > 0) || !is_finite(x)) return x == 0 ? -INFINITY : x > 0 ? x : NAN;
	float scaled = x < 1.2e-38 ? x * 8388608.0 : x; // no subnormal number
	uint u = floatBitsToUint(scaled) - 0x3f3504f3u; // the bits of sqrt(1/2)
	float e = float(int(u) >> 23) - (x < 1.2e-38 ? 23.0 : 0.0);
	float f = uintBitsToFloat((u & 0x7fffffu) + 0x3f3504f3u) - 1, s = f / (2 + f), z = s * s;
	float tail = s * z * fma(z, fma(z, fma(z, 2.0 / 9, 2.0 / 7), 2.0 / 5), 2.0 / 3);
	return fma(e, 0.693145752, fma(e, 1.42860677e-6, 2 * s + tail)); // log 2 in two parts, the first exact times e
}

// The standard normal density.
float normal_density(float x) { return 0.3989422804 * exp(-0.5 * x * x); }

// The standard normal distribution: the tail is the density times Mills' ratio, which is
// sqrt(2 pi) times a polynomial in t = 1/(1 + 0.3|x|).
float normal_cdf(float x, float density) {
	float t = 1 / (1 + 0.3 * abs(x));
	float p = fma(t, -0.02061391658, 0.1123815783);
	p = fma(t, fma(t, fma(t, fma(t, p, -0.2280808472), 0.1915989732), -0.07926119696), 0.09606493147);
	p = fma(t, fma(t, fma(t, fma(t, p, 0.07842326446), 0.1102277844), 0.1195727908), 0.1196866364);
	float tail = density * 2.506628275 * t * p;
	return x < 0 ? tail : 1 - tail;
}

float gelu(float x) { return x * normal_cdf(x, normal_density(x)); }

float gelu_grad(float x) {
	float d = normal_density(x);
	return fma(x, d, normal_cdf(x, d));
}

// x (1 + tanh(u)) / 2 = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)
float gelu_tanh(float x) { return x * sigmoid(2 * SQRT_2_PI * (x + 0.044715 * x * x * x)); }

float gelu_tanh_grad(float x) {
	if (abs(x) > 100) return x > 0 ? 1 : 0; // as the sigmoid from 10.2 on; below, products would overflow
	float s = sigmoid(2 * SQRT_2_PI * (x + 0.044715 * x * x * x));
	return fma(x * s * (1 - s), 2 * SQRT_2_PI * (1 + 3 * 0.044715 * x * x), s);
}
