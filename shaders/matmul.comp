// Matmul multiplies matrices, for every one of a batch independently.
//
//	c[i,j] (+)= sum over l of a[i,l] * b[l,j] + bias[j]
//
//grid n/bn m/bm batch
//tile group=64 bm=32 bn=32

#include "include/kernel.glsl"

PUSH(
	uint batch; // products
	uint m;     // rows of c
	uint n;     // columns of c
	uint k;     // length of the sums
)
CONST(0, bool, trans_a) // a is stored as [batch, k, m]
CONST(1, bool, trans_b) // b is stored as [batch, n, k]
CONST(2, bool, acc)     // add to c instead of replacing it
INOUT(0, T, c)     // [batch, m, n]
IN(1, U, a)        // [batch, m, k], or [batch, k, m] if trans_a
IN(2, W, b)        // [batch, k, n], or [batch, n, k] if trans_b
OPT_IN(3, V, bias) // [n]

// Every invocation keeps SIDE x SIDE elements of c in registers; bm and bn are multiples of SIDE.
const uint SIDE = 4;

void main() {
	uint z = gl_WorkGroupID.z, across = bn / SIDE;
	for (uint block = gl_LocalInvocationIndex; block < bm / SIDE * across; block += group) {
		uint i0 = gl_WorkGroupID.y * bm + block / across * SIDE;
		uint j0 = gl_WorkGroupID.x * bn + block % across * SIDE;
		float sum[SIDE][SIDE];
		[[unroll]] for (uint r = 0; r < SIDE; r++)
			[[unroll]] for (uint s = 0; s < SIDE; s++) sum[r][s] = 0;

		for (uint l = 0; l < k; l++) {
			float column[SIDE], row[SIDE];
			[[unroll]] for (uint r = 0; r < SIDE; r++) { // past the edge: the last row or column again, never stored
				uint i = min(i0 + r, m - 1), j = min(j0 + r, n - 1);
				column[r] = a(trans_a ? (z * k + l) * m + i : (z * m + i) * k + l);
				row[r] = b(trans_b ? (z * n + j) * k + l : (z * k + l) * n + j);
			}
			[[unroll]] for (uint r = 0; r < SIDE; r++)
				[[unroll]] for (uint s = 0; s < SIDE; s++) sum[r][s] = fma(column[r], row[s], sum[r][s]);
		}

		[[unroll]] for (uint r = 0; r < SIDE; r++)
			[[unroll]] for (uint s = 0; s < SIDE; s++) {
				uint i = i0 + r, j = j0 + s, at = (z * m + i) * n + j;
				if (i >= m || j >= n) continue;
				float f = sum[r][s];
				if (has_bias) f += bias(j);
				if (acc) f += c(at);
				set_c(at, f);
			}
	}
}
