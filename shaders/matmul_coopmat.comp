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

// Tiles of a and b, whatever the layout: bm and then bn lines along k, eight numbers an element, and one element more,
// so that the next line begins in other banks. When they are done, each subgroup has a row of its matrices of c there.
const uint EIGHTS = bk / 8, LINE = EIGHTS + 1, TILES = (bm + bn) * LINE;
const uint RESULT = MATRIX_M * COLS * MATRIX_N / 4, RESULTS = SUBGROUPS * RESULT; // four numbers an element
shared uvec4 tile[TILES > RESULTS ? TILES : RESULTS];

// Whole steps of bk fetch FETCHES times eight numbers that lie together. Lines along k go into the tile as they come;
// of those along m (or n) an invocation takes two that are next to each other, to make pairs along k.
const uint FETCHES_A = (bm * EIGHTS + group - 1) / group, FETCHES_B = (bn * EIGHTS + group - 1) / group;
const bool WHOLE = FETCHES_A * group == bm * EIGHTS && FETCHES_B * group == bn * EIGHTS && group % (bk / 2) == 0 &&
	(!trans_a || FETCHES_A % 2 == 0) && (trans_b || FETCHES_B % 2 == 0);

// Element (i, l) of a tile that fetch e takes.
#define FETCH_I(along_m, e) (along_m ? gl_LocalInvocationIndex / (bk / 2) * 8 + e / 2 * (group / (bk / 2) * 8) : \
	gl_LocalInvocationIndex / EIGHTS + e * (group / EIGHTS))
#define FETCH_L(along_m, e) (along_m ? gl_LocalInvocationIndex % (bk / 2) * 2 + e % 2 : \
	gl_LocalInvocationIndex % EIGHTS * 8)

// START finds where the fetches of the first step are from the tile's first element on: the last line of m (or n) is
// there instead of those past the end, which nobody stores. FETCH brings them, PUT writes them to the tile.
#define START(place, fetches, along_m, i0, m) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint i = min(FETCH_I(along_m, e), (along_m ? m - 8 : m - 1) - i0); \
		place[e] = along_m ? FETCH_L(along_m, e) * m + i : i * k + FETCH_L(along_m, e); \
	}
#define FETCH(next, place, binding, storage, fetches, first) \
	[[unroll]] for (uint e = 0; e < fetches; e++) next[e] = factors_at(address[binding], storage, first, place[e]);
#define PUT(next, to, fetches, along_m) \
	[[unroll]] for (uint e = 0; e < fetches; e += along_m ? 2 : 1) \
		if (!along_m) tile[to + e * (group / EIGHTS * LINE)] = next[e]; \
		else [[unroll]] for (uint c = 0; c < 4; c++) { \
			uint at = to + (e / 2 * (group / (bk / 2) * 8) + 2 * c) * LINE; \
			uvec2 pairs = pairs_of(next[e][c], next[e + 1][c]); \
			tile[at][word] = pairs.x; \
			tile[at + LINE][word] = pairs.y; \
		}

// Any other step: numbers past the end are 0.
#define BRING(binding, storage, first, size, along_m, i0, m, l0) \
	[[dont_unroll]] for (uint at = gl_LocalInvocationIndex; at < size * EIGHTS; at += group) { \
		uint i = i0 + at / EIGHTS, l = l0 + at % EIGHTS * 8; \
		tile[(first + at / EIGHTS) * LINE + at % EIGHTS] = i < m && l < k ? \
			factors_apart(address[binding], storage, along_m ? (z * k + l) * m + i : (z * m + i) * k + l, along_m ? m : 1, k - l) : uvec4(0); \
	}

#define MULTIPLY \
	[[unroll]] for (uint l = 0; l < EIGHTS; l += MATRIX_K / 8) { \
		MATRIX_A rows[ROWS]; \
		[[unroll]] for (uint r = 0; r < ROWS; r++) \
			coopMatLoad(rows[r], tile, (y + r * MATRIX_M) * LINE + l, LINE, gl_CooperativeMatrixLayoutRowMajor); \
		[[unroll]] for (uint c = 0; c < COLS; c++) { \
			MATRIX_B column; \
			coopMatLoad(column, tile, (bm + x + c * MATRIX_N) * LINE + l, LINE, gl_CooperativeMatrixLayoutColumnMajor); \
			[[unroll]] for (uint r = 0; r < ROWS; r++) sum[r * COLS + c] = coopMatMulAdd(rows[r], column, sum[r * COLS + c]); \
		} \
	}

void main() {
	uint z = gl_WorkGroupID.z, i0 = gl_WorkGroupID.y * bm, j0 = gl_WorkGroupID.x * bn;
	uint y = gl_SubgroupID / ACROSS * ROWS * MATRIX_M, x = gl_SubgroupID % ACROSS * COLS * MATRIX_N; // of the subgroup's first matrix
	MATRIX_C sum[ROWS * COLS];
	[[unroll]] for (uint e = 0; e < ROWS * COLS; e++) sum[e] = MATRIX_C(0.0);

	uint whole = 0; // of k in steps that need no look at what they load
	if (WHOLE && is_whole(address[1], storage_U, trans_a ? m : k) && is_whole(address[2], storage_W, trans_b ? k : n))
		whole = k / bk * bk;
	if (whole > 0) {
		// On their way to registers while those before are multiplied. There is no branch around a fetch, or it would
		// be waited for where the branch ends: the last ones are fetched again.
		uvec4 next_a[FETCHES_A], next_b[FETCHES_B];
		uint place_a[FETCHES_A], place_b[FETCHES_B];
		START(place_a, FETCHES_A, trans_a, i0, m)
		START(place_b, FETCHES_B, !trans_b, j0, n)
		uint64_t first_a = trans_a ? uint64_t(z) * k * m + i0 : (uint64_t(z) * m + i0) * k;
		uint64_t first_b = trans_b ? (uint64_t(z) * n + j0) * k : uint64_t(z) * k * n + j0;
		uint step_a = trans_a ? bk * m : bk, step_b = trans_b ? bk : bk * n;
		uint to_a = FETCH_I(trans_a, 0) * LINE + FETCH_L(trans_a, 0) / 8;
		uint to_b = (bm + FETCH_I(!trans_b, 0)) * LINE + FETCH_L(!trans_b, 0) / 8;
		uint word = gl_LocalInvocationIndex % 4; // of eight numbers, where a pair stands
		FETCH(next_a, place_a, 1, storage_U, FETCHES_A, first_a)
		FETCH(next_b, place_b, 2, storage_W, FETCHES_B, first_b)
		for (uint l0 = 0; l0 < whole; l0 += bk) {
			barrier();
			PUT(next_a, to_a, FETCHES_A, trans_a)
			PUT(next_b, to_b, FETCHES_B, !trans_b)
			barrier();
			bool more = l0 + bk < whole;
			first_a += more ? step_a : 0;
			first_b += more ? step_b : 0;
			FETCH(next_a, place_a, 1, storage_U, FETCHES_A, first_a)
			FETCH(next_b, place_b, 2, storage_W, FETCHES_B, first_b)
			MULTIPLY
		}
	}
	for (uint l0 = whole; l0 < k; l0 += bk) {
		barrier();
		BRING(1, storage_U, 0, bm, trans_a, i0, m, l0)
		BRING(2, storage_W, bm, bn, !trans_b, j0, n, l0)
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
			if (has_bias) f += bias_some(j, n - j);
			if (acc) f += c_some(to, n - j);
			set_c_some(to, n - j, f);
		}
		subgroup_barrier(); // they have been read
	}
}
