// MatmulCoopmat2 is Matmul with a tile of a, of b and of c as one cooperative matrix of the workgroup each: a and b of the
// same 16-bit type, and c of that or f32. Sums are f32.
//
//for matmul
//needs cooperative_matrix2 f16 bf16
//takes m%8 n%8 k%8 aligned
//grid n/bn m/bm batch
//tile group=128 bm=64 bn=64 bk=64
//tile group=256 bm=128 bn=128 bk=64
//tile group=256 bm=128 bn=256 bk=64

#include "include/kernel.glsl"
#include "include/cooperative2.glsl"

PUSH(
	uint batch;     // products
	uint m;         // rows of c
	uint n;         // columns of c
	uint k;         // length of the sums
	uint bias_rows; // of bias: 1, added to every row of c, or batch*m, each to its own
)
CONST(0, bool, trans_a) // a is stored as [batch, k, m]
CONST(1, bool, trans_b) // b is stored as [batch, n, k]
CONST(2, bool, acc)     // add to c instead of replacing it
INOUT(0, T, c)     // [batch, m, n]
IN(1, U, a)        // [batch, m, k], or [batch, k, m] if trans_a
IN(2, W, b)        // [batch, k, n], or [batch, n, k] if trans_b
OPT_IN(3, V, bias) // [bias_rows, n]

#define Z gl_WorkGroupID.z
#define I0 (gl_WorkGroupID.y * bm)
#define J0 (gl_WorkGroupID.x * bn)

// One step of the sums, from l0 on. The sizes are multiples of eight: said so, a driver may load 16 bytes at a time.
#define MULTIPLY(mode) { \
		coopmat<float16_t, SCOPE, bm, bk, gl_MatrixUseA> rows; \
		coopmat<float16_t, SCOPE, bk, bn, gl_MatrixUseB> columns; \
		if (trans_a) { LOAD_TRANSPOSED(rows, from_a, PART(mode, k, m & ~7u, l0, bk, I0, bm)); } \
		else { LOAD(rows, from_a, PART(mode, m, k & ~7u, I0, bm, l0, bk)); } \
		if (trans_b) { LOAD_TRANSPOSED(columns, from_b, PART(mode, n, k & ~7u, J0, bn, l0, bk)); } \
		else { LOAD(columns, from_b, PART(mode, k, n & ~7u, l0, bk, J0, bn)); } \
		sum = coopMatMulAdd(rows, columns, sum); \
	}

// What a sum of row i, column j of the tile becomes. It is rounded here, because a driver's conversion may round either way.
float finished(const in uint32_t i, const in uint32_t j, const in float sum) {
	float f = sum;
	if (I0 + i < m && J0 + j < n) {
		uint at = (Z * m + I0 + i) * n + J0 + j;
		if (has_bias) f += bias(bias_rows > 1 ? at : J0 + j);
		if (acc) f += c(at);
	}
	return storage_T == F32 ? f : widened(storage_T, uvec2(rounded(storage_T, f), 0)).x;
}

void main() {
	uint64_t from_a = place(address[1], uint64_t(Z) * m * k, 2), from_b = place(address[2], uint64_t(Z) * k * n, 2);
	coopmat<float, SCOPE, bm, bn, gl_MatrixUseAccumulator> sum = coopmat<float, SCOPE, bm, bn, gl_MatrixUseAccumulator>(0.0);
	uint whole = I0 + bm <= m && J0 + bn <= n ? k / bk * bk : 0; // of k in steps that no edge is in
	for (uint l0 = 0; l0 < whole; l0 += bk) MULTIPLY(WITHIN)
	for (uint l0 = whole; l0 < k; l0 += bk) MULTIPLY(CLAMPED)

	if (has_bias || acc || storage_T != F32) coopMatPerElementNV(sum, sum, finished);
	if (acc) barrier(); // others may store what has been added to
	uint64_t to = place(address[0], uint64_t(Z) * m * n, storage_T == F32 ? 4 : 2);
	if (storage_T == F32) {
		STORE(sum, Sums, to, PART(CLAMPED, m, n & ~7u, I0, bm, J0, bn));
	} else { // as a factor, which any device has matrices of
		coopmat<float16_t, SCOPE, bm, bn, gl_MatrixUseA> narrow = coopmat<float16_t, SCOPE, bm, bn, gl_MatrixUseA>(sum);
		STORE(narrow, Factors, to, PART(CLAMPED, m, n & ~7u, I0, bm, J0, bn));
	}
}
