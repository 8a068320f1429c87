// MatmulSplitCoopmat is MatmulCoopmat for long sums and few rows or columns, as those beside the matrices of a LoRA: the
// subgroups of a workgroup take parts of k, and what they have is added in their order.
//
//for matmul
//needs cooperative_matrix f16 bf16
//takes k>=256 thin
//grid n/bn m/bm batch
//tile group=128 bm=16 bn=32 bk=64
//tile group=256 bm=16 bn=32 bk=64

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

const uint SUBGROUPS = group / SUBGROUP, ROWS = bm / MATRIX_M, COLS = bn / MATRIX_N;
const uint y = 0, x = 0; // a subgroup has all of c's tile

#define INVOCATION gl_SubgroupInvocationID
#define INVOCATIONS SUBGROUP
#include "include/packed.glsl"
#include "include/matmul_coopmat.glsl"

// A tile of each subgroup, and when they are done its sums: four numbers an element.
const uint RESULT = bm * bn / 4;
shared uvec4 tile[SUBGROUPS * (TILES > RESULT ? TILES : RESULT)];

void main() {
	uint z = gl_WorkGroupID.z, i0 = gl_WorkGroupID.y * bm, j0 = gl_WorkGroupID.x * bn, here = gl_SubgroupID * TILES;
	MATRIX_C sum[ROWS * COLS];
	[[unroll]] for (uint e = 0; e < ROWS * COLS; e++) sum[e] = MATRIX_C(0.0);

	uint whole = 0; // of k in steps that need no look at what they load
	if (WHOLE && is_whole(address[1], storage_U, trans_a ? m : k) && is_whole(address[2], storage_W, trans_b ? k : n) &&
		is_packed(address[2], trans_b ? k : n))
		whole = k / bk * bk;
	// All subgroups make as many turns, whether they have a step left or not: some devices know no barriers of one.
	uint first_l = gl_SubgroupID * bk, turn = SUBGROUPS * bk;
	if (whole > 0) { // as in MatmulCoopmat
		BEGIN_SUMS
		uvec4 next_a[FETCHES_A], next_b[FETCHES_B];
		Packed packed_b[FETCHES_B];
		uint place_a[FETCHES_A], place_b[FETCHES_B];
		START(place_a, FETCHES_A, trans_a, false, i0, m)
		START(place_b, FETCHES_B, !trans_b, BOTH, j0, n)
		uint from = first_l < whole ? first_l : 0;
		uint64_t first_a = trans_a ? (uint64_t(z) * k + from) * m + i0 : (uint64_t(z) * m + i0) * k + from;
		uint64_t first_b = trans_b ? (uint64_t(z) * n + j0) * k + from : (uint64_t(z) * k + from) * n + j0;
		uint step_a = trans_a ? turn * m : turn, step_b = trans_b ? turn : turn * n;
		uint to_a = FETCH_I(trans_a, false, 0) * LINE + FETCH_L(trans_a, false, 0) / 8;
		uint to_b = (bm + FETCH_I(!trans_b, BOTH, 0)) * LINE + FETCH_L(!trans_b, BOTH, 0) / 8;
		uint word = INVOCATION % 4; // of eight numbers, where a pair stands
		FETCH(next_a, place_a, 1, storage_U, FETCHES_A, first_a)
		FETCH_B(first_b)
		for (uint l0 = 0; l0 < whole; l0 += turn) {
			WIDEN_B(first_b)
			subgroup_barrier();
			PUT(next_a, to_a, FETCHES_A, trans_a, false)
			PUT(next_b, to_b, FETCHES_B, !trans_b, BOTH)
			subgroup_barrier();
			bool more = l0 + turn + first_l < whole;
			first_a += more ? step_a : 0;
			first_b += more ? step_b : 0;
			FETCH(next_a, place_a, 1, storage_U, FETCHES_A, first_a)
			FETCH_B(first_b)
			if (l0 + first_l < whole) {
				MULTIPLY
			}
		}
	}
	for (uint l0 = whole + first_l; l0 < k + first_l; l0 += turn) { // past the end of k, zeros
		subgroup_barrier();
		BRING(1, storage_U, 0, bm, trans_a, i0, m, l0)
		BRING(2, storage_W, bm, bn, !trans_b, j0, n, l0)
		subgroup_barrier();
		MULTIPLY
	}

	barrier(); // the tiles have been read
	[[unroll]] for (uint r = 0; r < ROWS; r++)
		[[unroll]] for (uint c = 0; c < COLS; c++)
			coopMatStore(sum[r * COLS + c], tile, gl_SubgroupID * RESULT + (r * MATRIX_M * bn + c * MATRIX_N) / 4, bn / 4,
				gl_CooperativeMatrixLayoutRowMajor);
	barrier();
	for (uint at = gl_LocalInvocationIndex; at < RESULT; at += group) {
		uint i = i0 + at / (bn / 4), j = j0 + at % (bn / 4) * 4, to = (z * m + i) * n + j;
		if (i >= m || j >= n) continue;
		vec4 f = uintBitsToFloat(tile[at]);
		for (uint s = 1; s < SUBGROUPS; s++) f += uintBitsToFloat(tile[s * RESULT + at]);
		if (has_bias) f += bias_some(bias_rows > 1 ? to : j, n - j);
		if (acc) f += c_some(to, n - j);
		set_c_some(to, n - j, f);
	}
}
