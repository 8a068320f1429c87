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
#include "include/aligned.glsl"
#include "include/cooperative.glsl"

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

// The subgroups stand in DOWN rows; each has ROWS x COLS matrices of c, next to each other.
const uint SUBGROUPS = group / SUBGROUP;
const uint DOWN = SUBGROUPS >= 16 ? 4 : SUBGROUPS >= 4 ? 2 : 1, ACROSS = SUBGROUPS / DOWN;
const uint ROWS = bm / (DOWN * MATRIX_M), COLS = bn / (ACROSS * MATRIX_N);

#define INVOCATION gl_LocalInvocationIndex
#define INVOCATIONS group
#include "include/packed.glsl"
#include "include/matmul_coopmat.glsl"

// The tiles. When they are done, each subgroup has a row of its matrices of c there.
const uint here = 0, RESULT = MATRIX_M * COLS * MATRIX_N / 4, RESULTS = SUBGROUPS * RESULT; // four numbers an element
shared uvec4 tile[TILES > RESULTS ? TILES : RESULTS];

void main() {
	uint z = gl_WorkGroupID.z, i0 = gl_WorkGroupID.y * bm, j0 = gl_WorkGroupID.x * bn;
	uint y = gl_SubgroupID / ACROSS * ROWS * MATRIX_M, x = gl_SubgroupID % ACROSS * COLS * MATRIX_N; // of the subgroup's first matrix
	MATRIX_C sum[ROWS * COLS];
	[[unroll]] for (uint e = 0; e < ROWS * COLS; e++) sum[e] = MATRIX_C(0.0);

	bool in_eights = WHOLE && is_whole(address[1], storage_U, trans_a ? m : k) &&
		is_whole(address[2], storage_W, trans_b ? k : n) && is_packed(address[2], trans_b ? k : n);
	uint whole = in_eights ? k / bk * bk : 0; // of k in steps that need no look at what they load
	uint to_a = FETCH_I(trans_a, false, 0) * LINE + FETCH_L(trans_a, false, 0) / 8;
	uint to_b = (bm + FETCH_I(!trans_b, BOTH, 0)) * LINE + FETCH_L(!trans_b, BOTH, 0) / 8;
	uint word = INVOCATION % 4; // of eight numbers, where a pair stands
	uint64_t first_a = trans_a ? uint64_t(z) * k * m + i0 : (uint64_t(z) * m + i0) * k;
	uint64_t first_b = trans_b ? (uint64_t(z) * n + j0) * k : uint64_t(z) * k * n + j0;
	if (whole > 0) {
		// On their way to registers while those before are multiplied. There is no branch around a fetch, or it would
		// be waited for where the branch ends: the last ones are fetched again.
		uvec4 next_a[FETCHES_A], next_b[FETCHES_B];
		Packed packed_b[FETCHES_B];
		uint place_a[FETCHES_A], place_b[FETCHES_B];
		START(place_a, FETCHES_A, trans_a, false, i0, m)
		START(place_b, FETCHES_B, !trans_b, BOTH, j0, n)
		uint64_t step_a = first_a, step_b = first_b; // where a step begins
		FETCH(next_a, place_a, 1, storage_U, FETCHES_A, step_a)
		FETCH_B(step_b)
		uint ahead_a = trans_a ? bk * m : bk, ahead_b = trans_b ? bk : bk * n, left = whole;
		BEGIN_SUMS
		do {
			WIDEN_B(step_b)
			barrier();
			PUT(next_a, to_a, FETCHES_A, trans_a, false)
			PUT(next_b, to_b, FETCHES_B, !trans_b, BOTH)
			barrier();
			left -= bk;
			step_a += left > 0 ? ahead_a : 0;
			step_b += left > 0 ? ahead_b : 0;
			FETCH(next_a, place_a, 1, storage_U, FETCHES_A, step_a)
			FETCH_B(step_b)
			MULTIPLY
		} while (left > 0);
	}
	for (uint l0 = whole; l0 < k; l0 += bk) {
		barrier();
		if (in_eights) { // the last step, and the only one of a small rank
			uvec4 last_a[FETCHES_A], last_b[FETCHES_B];
			FETCH_LAST(last_a, 1, storage_U, FETCHES_A, trans_a, false, (first_a + (trans_a ? uint64_t(l0) * m : l0)), i0, m, k - l0)
			FETCH_LAST(last_b, 2, storage_W, FETCHES_B, !trans_b, BOTH, (first_b + (trans_b ? l0 : uint64_t(l0) * n)), j0, n, k - l0)
			PUT(last_a, to_a, FETCHES_A, trans_a, false)
			PUT(last_b, to_b, FETCHES_B, !trans_b, BOTH)
		} else {
			BRING(1, storage_U, 0, bm, trans_a, i0, m, l0)
			BRING(2, storage_W, bm, bn, !trans_b, j0, n, l0)
		}
		barrier();
		MULTIPLY
	}

	barrier(); // the tiles have been read
	uint own = gl_SubgroupID * RESULT;
	[[dont_unroll]] for (uint r = 0; r < ROWS; r++) {
		[[unroll]] for (uint f = 0; f < ROWS; f++) // only constants may be the indices of matrices
			if (f == r) [[unroll]] for (uint c = 0; c < COLS; c++)
				coopMatStore(sum[f * COLS + c], tile, own + c * MATRIX_N / 4, COLS * MATRIX_N / 4, gl_CooperativeMatrixLayoutRowMajor);
		subgroup_barrier();
		for (uint at = gl_SubgroupInvocationID; at < RESULT; at += SUBGROUP) {
			uint i = i0 + y + r * MATRIX_M + at / (COLS * MATRIX_N / 4), j = j0 + x + at % (COLS * MATRIX_N / 4) * 4, to = (z * m + i) * n + j;
			if (i >= m || j >= n) continue;
			vec4 f = uintBitsToFloat(tile[own + at]);
			if (has_bias) f += bias_some(bias_rows > 1 ? to : j, n - j);
			if (acc) f += c_some(to, n - j);
			set_c_some(to, n - j, f);
		}
		subgroup_barrier(); // they have been read
	}
}
