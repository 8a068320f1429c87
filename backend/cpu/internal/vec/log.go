package vec

import "math"

// Log sets dst[i] to the natural logarithm of x[i].
func Log(dst, x []float32) {
	same("Log", len(dst), len(x))
	for i, v := range x {
		dst[i] = log32(v)
	}
}

// log32 is within 0.501 ulp: x = 2^k m with m in [√½, √2), log m = 2 atanh z with z = (m-1) / (m+1), |z| < 0.172, by the first six
// terms of atanh's series, in float64.
func log32(x float32) float32 {
	const leastNormal, infinite, rootHalf = 0x00800000, 0x7f800000, 0x3f3504f3
	bits := math.Float32bits(x)
	if bits-leastNormal >= infinite-leastNormal { // nor negative
		return float32(math.Log(float64(x)))
	}
	k := int32(bits-rootHalf) >> 23
	m := float64(math.Float32frombits(bits - uint32(k)<<23))
	z := (m - 1) / (m + 1)
	s := z * z
	return float32(float64(k)*math.Ln2 + 2*z*(1+s*(1./3+s*(1./5+s*(1./7+s*(1./9+s*(1./11)))))))
}
