// What the kernels of attention with cooperative matrices share. It stands behind their bindings, and behind ROWS and
// COLS, the rows that a workgroup has and the columns that it multiplies them by at a time, behind SEES(row, column),
// which is sees of a query and a key, and SCRATCH, how many blocks of scores a subgroup has in memory at a time.
// Matrices are as deep as they are wide, 8 or 16 numbers.
//
// A subgroup has MATRIX_M of the rows. The columns' vectors go through `tile`, where all subgroups read them: as they
// are for products along the head, turned for products along the columns. Nobody knows which invocation has which
// element of a matrix, so scores go through the subgroup's part of `scratch`, from `own` on. From there an invocation
// takes, of each block of MATRIX_N columns, QUADS times four scores that stand beside each other in a row.

#include "include/seeing.glsl"

const uint EIGHTS = head_dim / 8;      // uvec4s of a vector: eight numbers each
const uint LINE = EIGHTS + 1;          // of one in shared memory: the next begins in other banks
const uint TURNED = COLS / 8 + 1;      // of one element of a head, for all columns
const uint DEEP = MATRIX_K / 8, DEPTHS = head_dim / MATRIX_K, WIDTHS = head_dim / MATRIX_N, BLOCKS = COLS / MATRIX_N;
const uint BLOCK = MATRIX_M * MATRIX_N / 4;    // uvec4s of a block's scores
const uint WEIGHTS = MATRIX_M * MATRIX_K / 8;  // of its weights, which have 16 bits
const uint ACROSS = MATRIX_N / 4, QUADS = BLOCK / SUBGROUP;
const uint OWN = SCRATCH * BLOCK > BLOCKS * WEIGHTS ? SCRATCH * BLOCK : BLOCKS * WEIGHTS;

shared uvec4 tile[COLS * LINE > head_dim * TURNED ? COLS * LINE : head_dim * TURNED];
shared uvec4 scratch[ROWS / MATRIX_M * OWN];
shared uint anybody;

// How matrices lie in shared memory: as rows, or the right factor of a product as columns.
const int BY_ROWS = gl_CooperativeMatrixLayoutRowMajor, ALONG_K = gl_CooperativeMatrixLayoutColumnMajor;

const float LOG2_E = 1.44269504;

// GO_OVER_QUADS runs what follows for each four scores of a block: those of a row from column 4x on. A block has quad
// `at` there.
#define GO_OVER_QUADS \
	[[unroll]] for (uint n = 0, at = gl_SubgroupInvocationID, row = at / ACROSS, x = at % ACROSS; n < QUADS; \
		n++, at += SUBGROUP, row = at / ACROSS, x = at % ACROSS)
#define GO_OVER_BLOCKS [[unroll]] for (uint c = 0; c < BLOCKS; c++)
#define QUAD c * QUADS + n
#define FOUR(e) [[unroll]] for (uint e = 0; e < 4; e++)

// Eight numbers from element first + i on. First is the same for all invocations: a device can keep it apart.
uvec4 eight(uint b, uint first, uint i) {
	return Half8s(packUint2x32(address[b]) + 2 * uint64_t(first) + uint64_t(2 * i)).at[0];
}

// Four numbers as factors.
uvec2 packed(vec4 f) { return uvec2(factors2(f.xy), factors2(f.zw)); }

// LOAD_ROWS brings the subgroup's rows of an argument, whose vectors are stride elements apart and the last one here is
// number `last`, to matrices.
#define LOAD_ROWS(matrices, b, first, last, stride) \
	[[unroll]] for (uint d = 0; d < EIGHTS; d += ACROSS) { \
		GO_OVER_QUADS scratch[own + x / DEEP * WEIGHTS + row * DEEP + x % DEEP] = \
			eight(b, first, min(row, last) * stride + 8 * min(d + x, EIGHTS - 1)); \
		subgroup_barrier(); \
		coopMatLoad(matrices[d / DEEP], scratch, own, DEEP, BY_ROWS); \
		if (d + DEEP < EIGHTS) \
			coopMatLoad(matrices[d / DEEP + 1], scratch, own + WEIGHTS, DEEP, BY_ROWS); \
		subgroup_barrier(); \
	}

// The columns' vectors of a tile. An invocation fetches FETCHES times eight numbers as they lie, or those of PAIRS
// times two columns that stand beside each other, which become pairs along the columns. PLACES says where they are from
// the tile's first number on, if the last column that there is has number `last`. Nothing may stand around a fetch that
// decides whether it happens: it would be waited for where that ends.
const uint FETCHES = (COLS * EIGHTS + group - 1) / group, PAIRS = (COLS / 2 * EIGHTS + group - 1) / group;
#define GO_OVER(count) \
	[[unroll]] for (uint e = 0, m = gl_LocalInvocationIndex; e < count; e++, m += group)
#define PLACES(last, stride) \
	GO_OVER(FETCHES) { \
		uint at = min(m, COLS * EIGHTS - 1); \
		place[e] = min(at / EIGHTS, last) * stride + at % EIGHTS * 8; \
	} \
	GO_OVER(PAIRS) { \
		uint at = min(m, COLS / 2 * EIGHTS - 1), column = at % (COLS / 2) * 2, d = at / (COLS / 2) * 8; \
		pair_place[2 * e] = min(column, last) * stride + d; \
		pair_place[2 * e + 1] = min(column + 1, last) * stride + d; \
	}
#define FETCH(b, first) GO_OVER(FETCHES) next[e] = eight(b, first, place[e]);
#define FETCH_PAIRS(b, first) GO_OVER(2 * PAIRS) pairs[e] = eight(b, first, pair_place[e]);
#define PUT \
	GO_OVER(FETCHES) if (COLS * EIGHTS % group == 0 || m < COLS * EIGHTS) tile[m / EIGHTS * LINE + m % EIGHTS] = next[e];
#define PUT_PAIRS \
	GO_OVER(PAIRS) if (COLS / 2 * EIGHTS % group == 0 || m < COLS / 2 * EIGHTS) { \
		uint pair = m % (COLS / 2), at = m / (COLS / 2) * 8 * TURNED + pair / 4; \
		FOUR(c) { \
			uvec2 two = pairs_of(pairs[2 * e][c], pairs[2 * e + 1][c]); \
			tile[at + 2 * c * TURNED][pair % 4] = two.x; \
			tile[at + (2 * c + 1) * TURNED][pair % 4] = two.y; \
		} \
	}

// FIND goes on from column `to` to the first tile before `end` of which somebody in the workgroup sees something, and
// says in `visible` what the subgroup sees there: bit e of a quad for its score e. Only where not everything is seen,
// which is `masked`, bits are looked at.
#define FIND(to, end, all_seen, row_at, column_at) \
	for (; to < end; to += COLS) { \
		masked = !IN_ORDER || has_kseg || window != 0 || !(all_seen); \
		if (masked) { \
			GO_OVER_BLOCKS GO_OVER_QUADS { \
				ivec2 this_row = row_at; \
				uint seen = 0; \
				[[dont_unroll]] for (uint e = 0; e < 4; e++) { \
					uint column = to + c * MATRIX_N + 4 * x + e; \
					if (SEES(this_row, column_at)) seen |= 1u << e; \
				} \
				visible[QUAD] = seen; \
			} \
		} \
		if (IN_ORDER && !has_kseg) break; \
		barrier(); \
		anybody = 0; \
		barrier(); \
		GO_OVER_BLOCKS GO_OVER_QUADS if (visible[QUAD] != 0) anybody = 1; \
		barrier(); \
		if (anybody != 0) break; \
	}
#define SEEN(e) ((visible[QUAD] >> e & 1u) != 0)

// SCORES multiplies the subgroup's rows, of which FROM brings a matrix d, by the tile's columns.
#define SCORES(to, FROM) { \
	MATRIX_C block[BLOCKS]; \
	GO_OVER_BLOCKS block[c] = MATRIX_C(0.0); \
	[[unroll]] for (uint d = 0; d < DEPTHS; d++) { \
		MATRIX_A rows; \
		FROM \
		GO_OVER_BLOCKS { \
			MATRIX_B columns; \
			coopMatLoad(columns, tile, c * MATRIX_N * LINE + d * DEEP, LINE, ALONG_K); \
			block[c] = coopMatMulAdd(rows, columns, block[c]); \
		} \
	} \
	[[unroll]] for (uint first = 0; first < BLOCKS; first += SCRATCH) { \
		[[unroll]] for (uint c = first; c < first + SCRATCH; c++) \
			coopMatStore(block[c], scratch, own + (c - first) * BLOCK, ACROSS, BY_ROWS); \
		subgroup_barrier(); \
		[[unroll]] for (uint c = first; c < first + SCRATCH; c++) \
			GO_OVER_QUADS to[QUAD] = uintBitsToFloat(scratch[own + (c - first) * BLOCK + at]); \
		subgroup_barrier(); \
	} \
}

// OF_ROW combines what the invocations of each quad's row have: it puts their values to memory, and takes those of the
// row together in order.
#define PUT_OF_ROW(value) GO_OVER_QUADS scratch[own + row][x] = floatBitsToUint(value); subgroup_barrier();
#define OF_ROW(to, operation) \
	to = uintBitsToFloat(scratch[own + row].x); \
	[[unroll]] for (uint e = 1; e < ACROSS; e++) to = operation(to, uintBitsToFloat(scratch[own + row][e]));
float add(float a, float b) { return a + b; }

// SET_WEIGHTS puts packed weights where ACCUMULATE takes them, from `own` on.
#define SET_WEIGHTS(w) \
	GO_OVER_BLOCKS GO_OVER_QUADS { \
		uint to = own + c * WEIGHTS + at / 2, half_of = at % 2 * 2; \
		scratch[to][half_of] = w[QUAD].x; \
		scratch[to][half_of + 1] = w[QUAD].y; \
	} \
	subgroup_barrier();

// sum += weights * the tile's columns, which lie turned.
#define ACCUMULATE(sum) { \
	MATRIX_A weights[BLOCKS]; \
	GO_OVER_BLOCKS coopMatLoad(weights[c], scratch, own + c * WEIGHTS, DEEP, BY_ROWS); \
	[[unroll]] for (uint w = 0; w < WIDTHS; w++) \
		GO_OVER_BLOCKS { \
			MATRIX_B columns; \
			coopMatLoad(columns, tile, w * MATRIX_N * TURNED + c * DEEP, TURNED, ALONG_K); \
			sum[w] = coopMatMulAdd(weights[c], columns, sum[w]); \
		} \
	subgroup_barrier(); \
}

// STORE writes the sums times factor, a number for each quad's row, to the first `rows` vectors of an argument.
#define STORE(b, sum, first, rows, stride, factor) \
	[[unroll]] for (uint w = 0; w < WIDTHS; w++) { \
		coopMatStore(sum[w], scratch, own, ACROSS, BY_ROWS); \
		subgroup_barrier(); \
		GO_OVER_QUADS if (row < rows) { \
			vec4 f = uintBitsToFloat(scratch[own + at]) * factor; \
			store_four(unpackUint2x32(packUint2x32(address[b]) + 2 * uint64_t(first + row * stride + w * MATRIX_N + 4 * x)), \
				FACTOR, 0, f); \
		} \
		subgroup_barrier(); \
	}
