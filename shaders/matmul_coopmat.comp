// MatmulCoopmat is Matmul with cooperative matrices: a or b of 16-bit floats, the other of the same
// type, or f32 or packed and rounded to it, where c has 16 bits too; or b packed, a f32 and both
// rounded to the type of c. Sums are f32.
//
//for matmul
//needs cooperative_matrix f16 bf16
//grid n/bn m/bm batch
//tile group=128 bm=64 bn=64 bk=32
//tile group=256 bm=128 bn=128 bk=32

#include "include/kernel.glsl"
#include "include/cooperative.glsl"

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

// The subgroups stand in DOWN rows; each has ROWS x COLS matrices of c, next to each other.
const uint SUBGROUPS = group / SUBGROUP;
const uint DOWN = SUBGROUPS >= 16 ? 4 : SUBGROUPS >= 4 ? 2 : 1, ACROSS = SUBGROUPS / DOWN;
const uint ROWS = bm / (DOWN * MATRIX_M), COLS = bn / (ACROSS * MATRIX_N);

// Tiles of a and b lie as they do in memory, four numbers an element: lines along k, or along m (n).
// A line is 16 bytes longer than its content, so that the next one begins in other banks.
const uint LINE_A = (trans_a ? bm : bk) / 4 + 2, LINES_A = trans_a ? bk : bm;
const uint LINE_B = (trans_b ? bk : bn) / 4 + 2, LINES_B = trans_b ? bn : bk;
shared uvec2 tile_a[LINES_A * LINE_A], tile_b[LINES_B * LINE_B];

// A matrix of c for each subgroup, on its way to memory.
shared float result[SUBGROUPS * MATRIX_M * MATRIX_N];

// The next tiles are on their way to registers while these are multiplied.
const uint FETCHES_A = (bm * bk / 4 + group - 1) / group, FETCHES_B = (bn * bk / 4 + group - 1) / group;
uvec2 next_a[FETCHES_A], next_b[FETCHES_B];

// FETCH brings elements i0 on of m (or n) and l0 on of k; PUT writes them to a tile, whose lines
// have length elements. Lines are along m if along_m, else along k.
#define FETCH(binding, storage, next, fetches, size, along_m, i0, m, l0) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint at = gl_LocalInvocationIndex + e * group; \
		uint l = l0 + (along_m ? at / (size / 4) : at % (bk / 4) * 4), i = i0 + (along_m ? at % (size / 4) * 4 : at / (bk / 4)); \
		next[e] = uvec2(0); \
		if (i < m && l < k && at < size * bk / 4) \
			next[e] = load_factors(address[binding], storage, along_m ? (z * k + l) * m + i : (z * m + i) * k + l, along_m ? m - i : k - l); \
	}
#define PUT(tile, line, next, fetches, size, length) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint at = gl_LocalInvocationIndex + e * group; \
		if (at < size * bk / 4) tile[at / (length / 4) * line + at % (length / 4)] = next[e]; \
	}

void main() {
	uint z = gl_WorkGroupID.z, i0 = gl_WorkGroupID.y * bm, j0 = gl_WorkGroupID.x * bn;
	uint y = gl_SubgroupID / ACROSS * ROWS * MATRIX_M, x = gl_SubgroupID % ACROSS * COLS * MATRIX_N; // of the subgroup's first matrix
	MATRIX_C sum[ROWS * COLS];
	[[unroll]] for (uint e = 0; e < ROWS * COLS; e++) sum[e] = MATRIX_C(0.0);
	for (uint l0 = 0; l0 < k + bk; l0 += bk) { // fetches at l0, then multiplies what came before
		if (l0 > 0) {
			barrier();
			PUT(tile_a, LINE_A, next_a, FETCHES_A, bm, (trans_a ? bm : bk))
			PUT(tile_b, LINE_B, next_b, FETCHES_B, bn, (trans_b ? bk : bn))
			barrier();
		}
		if (l0 < k) {
			FETCH(1, storage_U, next_a, FETCHES_A, bm, trans_a, i0, m, l0)
			FETCH(2, storage_W, next_b, FETCHES_B, bn, !trans_b, j0, n, l0)
		}
		if (l0 == 0) continue;
		for (uint l = 0; l < bk; l += MATRIX_K) {
			MATRIX_A rows[ROWS];
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				uint i = y + r * MATRIX_M;
				coopMatLoad(rows[r], tile_a, trans_a ? l * LINE_A + i / 4 : i * LINE_A + l / 4, LINE_A,
					trans_a ? gl_CooperativeMatrixLayoutColumnMajor : gl_CooperativeMatrixLayoutRowMajor);
			}
			[[unroll]] for (uint c = 0; c < COLS; c++) {
				uint j = x + c * MATRIX_N;
				MATRIX_B column;
				coopMatLoad(column, tile_b, trans_b ? j * LINE_B + l / 4 : l * LINE_B + j / 4, LINE_B,
					trans_b ? gl_CooperativeMatrixLayoutColumnMajor : gl_CooperativeMatrixLayoutRowMajor);
				[[unroll]] for (uint r = 0; r < ROWS; r++) sum[r * COLS + c] = coopMatMulAdd(rows[r], column, sum[r * COLS + c]);
			}
		}
	}
	uint own = gl_SubgroupID * MATRIX_M * MATRIX_N;
	[[dont_unroll]] for (uint e = 0; e < ROWS * COLS; e++) {
		barrier(); // the matrix before has been read
		[[unroll]] for (uint f = 0; f < ROWS * COLS; f++) // only constants may be its indices
			if (f == e) coopMatStore(sum[f], result, own, MATRIX_N, gl_CooperativeMatrixLayoutRowMajor);
		barrier();
		for (uint at = 4 * gl_SubgroupInvocationID; at < MATRIX_M * MATRIX_N; at += 4 * SUBGROUP) {
			uint i = i0 + y + e / COLS * MATRIX_M + at / MATRIX_N, j = j0 + x + e % COLS * MATRIX_N + at % MATRIX_N, to = (z * m + i) * n + j;
			if (i >= m || j >= n) continue;
			vec4 f = vec4(result[own + at], result[own + at + 1], result[own + at + 2], result[own + at + 3]);
			if (has_bias) f += bias_some(j, n - j);
			if (acc) f += c_some(to, n - j);
			set_c_some(to, n - j, f);
		}
	}
}
