// AttentionCoopmat is Attention with cooperative matrices: of f16 or bf16, which scores and weights are rounded to as
// factors; sums are f32.
//
//for attention
//needs cooperative_matrix f16 bf16
//takes head_dim%16 head_dim<=128 aligned
//narrow head_dim<=128
//grid t/bm heads batch
//tile group=64 bm=64 bn=32
//tile group=128 bm=64 bn=32
//tile group=256 bm=64 bn=32
//lean head_dim>=96 head_dim%32 group=256 bm=64 bn=64

#include "include/kernel.glsl"
#include "include/aligned.glsl"
#include "include/cooperative.glsl"

PUSH(
	uint batch;     // sequences
	uint t;         // queries of a sequence
	uint s;         // keys of a sequence
	uint heads;     // query heads, a multiple of kv_heads
	uint kv_heads;  // key and value heads
	uint window;    // positions a query sees, its own included; 0 = all
	float scale;    // factor of every q . k
)
CONST(0, uint, head_dim)  // elements of a head
CONST(1, float, soft_cap) // scores s become soft_cap * tanh(s / soft_cap); 0 = as they are
OUT(0, T, y)       // [batch, t, heads, head_dim]
OPT_OUT(1, S, lse) // [batch, heads, t]: kept for the gradients
IN(2, T, q)        // [batch, t, heads, head_dim]
IN(3, T, k)        // [batch, s, kv_heads, head_dim]
IN(4, T, v)        // [batch, s, kv_heads, head_dim]
OPT_IN(5, I, qpos) // [batch, t]: positions of the queries
OPT_IN(6, I, kpos) // [batch, s]: positions of the keys
OPT_IN(7, I, qseg) // [batch, t]: segments of the queries
OPT_IN(8, I, kseg) // [batch, s]: segments of the keys, -1 = padding

#define ROWS bm
#define COLS (SHORT ? 2 * bn : bn)
#define SEES(row, column) sees(row, column)
#define SCRATCH (SHARE > 1 ? 1 : BLOCKS)
#define GO_OVER_SCRATCH [[unroll]] for (uint c = from; c < from + SCRATCH; c++)
#include "include/attention_coopmat.glsl"

const float LEAST = -3.4e38;

// A workgroup has bm queries of one head and goes over their keys, bn at a time (Dao, "FlashAttention-2", 2307.08691).
uint b = gl_WorkGroupID.z, h = gl_WorkGroupID.y, group_i0 = gl_WorkGroupID.x * bm;
uint i0 = min(group_i0 + GROUP_ROW, t - 1), own = OWN_WORDS;
uint key = kv_heads * head_dim, first_k = b * s * key + h / (heads / kv_heads) * head_dim;
MATRIX_C sum[SUMS];
MATRIX_A queries[DEPTHS];
// The workgroup's queries, where two subgroups share rows because invocations have few registers.
const bool KEPT = SHARE > 1;
shared uvec4 kept[KEPT ? ROWS * LINE : 1];
uvec4 keys[FETCHES], values[2 * PAIRS];

// Of the row of each quad: the largest score so far, times log2(e); and this invocation's part of the sum of all
// weights, 2^RAISED times as large.
float highest[QUADS], total[QUADS];

shared vec4 row_factors[ROWS / 4]; // what each row's sums are multiplied by
#define SCALE \
	[[unroll]] for (uint r = 0; r < JOINT; r++) { \
		MATRIX_C factors; \
		coopMatLoad(factors, row_factors, SUM_BLOCK(r) * MATRIX_M / 4, 0, ALONG_K); \
		[[unroll]] for (uint w = 0; w < PART; w++) sum[r * PART + w] = sum[r * PART + w] * factors; \
	}

// A tile's first key, that of the tiles that are looked at together, where the last one that anybody sees ends, where the head's keys
// and values begin, and how many bytes behind that the tile's do.
int j0, begin, end;
uint64_t keys_at = place_of(3, first_k), values_at = place_of(4, first_k), first;
#define FIND_KEYS \
	FIND(j0, begin, end, s, j0 + COLS - 1 + t <= i0 + s && (window == 0 || i0 + MATRIX_M - 1 + s < j0 + t + window), \
		query_at(b, i0 + row), key_at(b, column))

// Adds what a tile gives to the sums, and goes on to the next. Lean: all of its keys are seen by all queries of the workgroup.
void add_tile(bool lean) {
	barrier();
	PUT(keys)
	barrier();
	FETCH_PAIRS(values, values_at + first)
	MATRIX_C block[BLOCKS];
	GO_OVER_BLOCKS block[c] = MATRIX_C(0.0);
	SCORES(block, if (KEPT) coopMatLoad(rows[r], kept, GROUP_ROW * LINE + d * DEEP, LINE, BY_ROWS); else rows[r] = queries[d];)
	vec4 scores[BLOCKS * QUADS];
	[[unroll]] for (uint from = 0; from < BLOCKS; from += SCRATCH) {
		GO_OVER_SCRATCH coopMatStore(block[c], scratch, OWN_BLOCK + (c - from) * BLOCK, ACROSS, BY_ROWS);
		subgroup_barrier();
		GO_OVER_SCRATCH GO_OVER_QUADS scores[QUAD] = uintBitsToFloat(scratch[OWN_BLOCK + (c - from) * BLOCK + at]);
		subgroup_barrier();
	}

	float most[QUADS];
	GO_OVER_QUADS {
		most[n] = LEAST;
		GO_OVER_BLOCKS {
			vec4 f = exponent(scores[QUAD]);
			if (!lean && masked) FOUR(e) f[e] = SEEN(e) ? f[e] : LEAST;
			most[n] = max(most[n], max(max(f.x, f.y), max(f.z, f.w)));
			scores[QUAD] = f;
		}
	}
	PUT_OF_ROW(most[n])
	float factor[QUADS];
	GO_OVER_QUADS {
		OF_ROW(most[n], max)
		most[n] = max(most[n], highest[n]);
		factor[n] = exp2(highest[n] - most[n]);
		highest[n] = most[n];
	}
	ROW_BARRIER
	GO_OVER_QUADS {
		if (x == 0) row_factors[(GROUP_ROW + row) / 4][row % 4] = factor[n];
		total[n] *= factor[n];
		GO_OVER_BLOCKS {
			vec4 f = exp2(scores[QUAD] - (highest[n] - RAISED));
			if (!lean && masked) FOUR(e) f[e] = SEEN(e) ? f[e] : 0;
			total[n] += (f.x + f.y) + (f.z + f.w);
			scores[QUAD] = f;
		}
		GO_OVER_WORDS {
			vec4 first = scores[2 * p * QUADS + n], second = scores[(2 * p + 1) * QUADS + n];
			FOUR(e) scratch[own + row * WORD_LINE + p * ACROSS + x][e] = weights2(vec2(first[e], second[e]));
		}
	}

	NEXT(j0, begin)
	if (!lean) FIND_KEYS
	first = 2 * uint64_t((lean ? min(uint(j0), s - COLS) : START(j0, s)) * key);
	barrier();
	PUT_TURNED(values)
	barrier();
	FETCH(keys, keys_at + first)
	SCALE
	ACCUMULATE(sum)
}

void main() {
	uint rows = min(MATRIX_M, t - i0);
	if (group_i0 + GROUP_ROW >= t) rows = 0; // the last query instead of those past the end
	uint query = heads * head_dim, first_q = (b * t + i0) * query + h * head_dim;
	GO_OVER_QUADS highest[n] = LEAST, total[n] = 0;
	[[unroll]] for (uint w = 0; w < SUMS; w++) { BEGIN(sum[w]) }
	if (KEPT) {
		GO_OVER((ROWS * EIGHTS + group - 1) / group) if (ROWS * EIGHTS % group == 0 || m < ROWS * EIGHTS)
			kept[m / EIGHTS * LINE + m % EIGHTS] = eight(place_of(2, (b * t + group_i0) * query + h * head_dim),
				2 * min(m / EIGHTS, t - 1 - group_i0) * query + 16 * (m % EIGHTS));
	} else {
		LOAD_ROWS(queries, 0, place_of(2, first_q), max(rows, 1) - 1, query)
	}

	j0 = int(first_key(group_i0));
	end = int(end_key(group_i0));
	int lean = whole_keys(group_i0);
	PLACES(min(COLS, s) - 1, key)
	PAIR_PLACES(min(COLS, s) - 1, key)
	if (KNOWN) {
		first = 2 * uint64_t(START(j0, s) * key);
		if (j0 < end) FETCH(keys, keys_at + first)
		[[dont_unroll]] while (j0 < lean) add_tile(true);
		FIND_KEYS
		[[dont_unroll]] while (j0 < end) add_tile(false);
	} else {
		BOUND_ROWS(group_i0, t, query_in)
		[[dont_unroll]] for (begin = j0; begin < end; begin += int(LOOKED * COLS)) {
			LOOK(begin, (end - begin + COLS - 1) / COLS, s, key_in)
			START_TILES(j0, begin)
			[[dont_unroll]] while (left != 0) {
				FIND_KEYS
				first = 2 * uint64_t(START(j0, s) * key);
				FETCH(keys, keys_at + first)
				[[dont_unroll]] while (left != 0 && !AT_WHOLE) add_tile(false);
				[[dont_unroll]] while (AT_WHOLE) add_tile(true);
			}
		}
	}

	barrier();
	PUT_OF_ROW(total[n])
	GO_OVER_QUADS {
		OF_ROW(total[n], add)
		if (has_lse && x == 0 && row < rows)
			set_lse((b * heads + h) * t + i0 + row,
				total[n] == 0 ? -INFINITY : (highest[n] - RAISED + log2(total[n])) / LOG2_E);
		if (x == 0) row_factors[(GROUP_ROW + row) / 4][row % 4] = total[n] == 0 ? 0 : exp2(RAISED) / total[n];
	}
	barrier();
	SCALE
	STORE(0, sum, b * t * query + h * head_dim, group_i0, t, query, 1)
}
