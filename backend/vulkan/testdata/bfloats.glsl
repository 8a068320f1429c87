// Matrices of bf16 where a device has those of f16 alone, for a test: it stands behind include/cooperative.glsl. A factor that is
// loaded holds numbers of bf16 read as such of f16, which are widened and rounded to the f16 that they are: the same number, if it
// is one from 2^-14 to 65504.

#define WIDEN(MATRIX) void widen(inout MATRIX m) { \
	[[unroll]] for (uint i = 0; i < m.length(); i++) \
		m[i] = float16_t(uintBitsToFloat(uint(float16BitsToUint16(m[i])) << 16)); \
}
WIDEN(MATRIX_A)
WIDEN(MATRIX_B)
void widen(inout MATRIX_C m) {} // sums are f32

#define coopMatLoad(m, memory, at, stride, layout) (coopMatLoad(m, memory, at, stride, layout), widen(m))
