// x^p as C has it, but for infinities: whole powers of negative numbers have their sign, others are
// NaN. Small whole powers are products; GLSL's own pow knows no negative x.
float power(float x, float p) {
	float whole = floor(p), a = abs(x), size = abs(p), f;
	if (p == 0) return 1;
	if (whole == p && size <= 64) {
		f = 1;
		float square = a;
		[[dont_unroll]] for (uint n = uint(size); n > 0; n >>= 1) {
			if ((n & 1u) == 1u) f *= square;
			square *= square;
		}
		if (p < 0) f = 1 / f;
	} else if (p == 0.5) {
		f = sqrt(a);
	} else {
		f = a == 0 ? (p < 0 ? INFINITY : 0) : exp(p * natural_log(a));
	}
	if (x < 0) {
		if (whole != p) return NAN;
		if (mod(whole, 2) != 0) f = -f;
	}
	return f;
}
