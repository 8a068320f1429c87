// AttentionGradQCoopmat is AttentionGradQ with cooperative matrices: of f16 or bf16, which weights are rounded to as
// factors; sums are f32.
//
//for attention_grad_q
//needs cooperative_matrix f16 bf16
//takes head_dim%16 head_dim<=128 aligned
//narrow head_dim<=128
//grid t/bm heads batch
//tile group=64 bm=64 bn=32
//tile group=128 bm=64 bn=32
//tile group=256 bm=64 bn=32
//lean head_dim>=64 head_dim<=64 group=256 bm=64 bn=64

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
OUT(0, T, dq)       // [batch, t, heads, head_dim]
OUT(1, S, delta)    // [batch, heads, t]
IN(2, T, dy)        // [batch, t, heads, head_dim]
IN(3, T, y)         // [batch, t, heads, head_dim]: Attention's output
IN(4, S, lse)       // [batch, heads, t]: from Attention
IN(5, T, q)         // [batch, t, heads, head_dim]
IN(6, T, k)         // [batch, s, kv_heads, head_dim]
IN(7, T, v)         // [batch, s, kv_heads, head_dim]
OPT_IN(8, I, qpos)  // [batch, t]: positions of the queries
OPT_IN(9, I, kpos)  // [batch, s]: positions of the keys
OPT_IN(10, I, qseg) // [batch, t]: segments of the queries
OPT_IN(11, I, kseg) // [batch, s]: segments of the keys, -1 = padding

#define ROWS bm
#define COLS (SHORT ? 2 * bn : bn)
#define SEES(row, column) sees(row, column)
#define SCRATCH 1
#include "include/attention_coopmat.glsl"

// dy of the workgroup's queries: registers have no room for it beside q. Where two subgroups share rows because invocations have few
// registers, q stands behind each, and what exponents and less_delta have of each row is in memory, too.
const bool BOTH = SHARE > 1;
const uint KEPT = BOTH ? LINE + EIGHTS : LINE;
shared uvec4 kept[ROWS * KEPT];
shared vec4 row_statistics[BOTH ? 2 * ROWS / 4 : 1];
#define KEPT_ROWS(from) coopMatLoad(rows[r], kept, GROUP_ROW * KEPT + from + d * DEEP, KEPT, BY_ROWS);
#define OF_STATISTIC(matrix, of) coopMatLoad(matrix, row_statistics, (of * ROWS + GROUP_ROW) / 4, 0, ALONG_K);

// A workgroup has bm queries of one head and goes over their keys, bn at a time.
uint b = gl_WorkGroupID.z, h = gl_WorkGroupID.y, group_i0 = gl_WorkGroupID.x * bm;
uint i0 = min(group_i0 + GROUP_ROW, t - 1), own = OWN_WORDS;
uint key = kv_heads * head_dim, first_k = b * s * key + h / (heads / kv_heads) * head_dim;
MATRIX_C sum[SUMS], exponents, less_delta; // lse less RAISED, and -delta, of each row in all columns
MATRIX_A queries[DEPTHS];
uvec4 values[FETCHES], keys[2 * PAIRS];

// A tile's first key, that of the tiles that are looked at together, where the last one that anybody sees ends, where the head's keys
// and values begin, and how many bytes behind that the tile's do.
int j0, begin, end;
uint64_t keys_at = place_of(6, first_k), values_at = place_of(7, first_k), first;
#define FIND_KEYS \
	FIND(j0, begin, end, s, j0 + COLS - 1 + t <= i0 + s && (window == 0 || i0 + MATRIX_M - 1 + s < j0 + t + window), \
		query_at(b, i0 + row), key_at(b, column))

float exponent_scale; // log2(e) * scale, of bf16 alone: f16 loops of RDNA 3 take more instructions with it

// Adds what a tile gives to the sums, and goes on to the next. Lean: all of its keys are seen by all queries of the workgroup.
void add_tile(bool lean) {
	barrier();
	PUT_PAIRS(keys)
	barrier();
	FETCH(values, values_at + first)
	MATRIX_C scores[BLOCKS], slopes[BLOCKS], words[WORDS]; // slopes: dy . v - delta
	GO_OVER_BLOCKS scores[c] = MATRIX_C(0.0);
	SCORES(scores, if (BOTH) KEPT_ROWS(EIGHTS) else rows[r] = queries[d];)
	barrier();
	PUT(values)
	barrier();
	if (BOTH) OF_STATISTIC(less_delta, 1)
	GO_OVER_BLOCKS slopes[c] = less_delta;
	SCORES(slopes, KEPT_ROWS(0))
	if (BOTH) OF_STATISTIC(exponents, 0)

	GO_OVER_WORDS [[unroll]] for (uint i = 0; i < words[p].length(); i++) {
		vec2 score = vec2(scores[2 * p][i], scores[2 * p + 1][i]);
		vec2 to = FACTOR == BF16 && soft_cap == 0 ? exponent_scale * score : exponent(score);
		vec2 f = exp2(to - exponents[i]) * vec2(slopes[2 * p][i], slopes[2 * p + 1][i]) * cap_slope(capped(scale * score));
		words[p][i] = uintBitsToFloat(weights2(f));
	}
	if (!lean) {
		PUT_MASK
		AND_MASK(words)
		subgroup_barrier();
	}
	SET_WEIGHTS(words)

	NEXT(j0, begin)
	if (!lean) FIND_KEYS
	first = 2 * uint64_t((lean ? min(uint(j0), s - COLS) : START(j0, s)) * key);
	barrier();
	PUT_TURNED(keys)
	barrier();
	FETCH_PAIRS(keys, keys_at + first)
	ACCUMULATE(sum)
}

void main() {
	uint rows = min(MATRIX_M, t - i0);
	if (group_i0 + GROUP_ROW >= t) rows = 0; // the last query instead of those past the end
	if (FACTOR == BF16) exponent_scale = LOG2_E * scale;
	uint query = heads * head_dim, first_q = (b * t + i0) * query + h * head_dim, statistics = (b * heads + h) * t + i0;

	// Of the row of each quad; four invocations have parts of its dy . y.
	float lses[QUADS], deltas[QUADS];
	GO_OVER_QUADS {
		uint i = min(row, max(rows, 1) - 1);
		deltas[n] = 0;
		[[unroll]] for (uint d = 0; d < EIGHTS; d += ACROSS) {
			uint at_d = min(d + x, EIGHTS - 1);
			uvec4 g = eight(place_of(2, first_q), 2 * i * query + 16 * at_d), f = eight(place_of(3, first_q), 2 * i * query + 16 * at_d);
			if (d + x == at_d) {
				kept[(GROUP_ROW + row) * KEPT + at_d] = g;
				if (BOTH) kept[(GROUP_ROW + row) * KEPT + EIGHTS + at_d] = eight(place_of(5, first_q), 2 * i * query + 16 * at_d);
				deltas[n] += dot(widened(FACTOR, g.xy), widened(FACTOR, f.xy)) +
					dot(widened(FACTOR, g.zw), widened(FACTOR, f.zw));
			}
		}
		lses[n] = LOG2_E * lse(statistics + i) - RAISED;
	}
	PUT_OF_ROW(deltas[n])
	GO_OVER_QUADS {
		PART_OF_ROW(deltas[n], add, OWN_BLOCK)
		if (x == 0 && row < rows) set_delta(statistics + row, deltas[n]);
	}
	subgroup_barrier();
	if (BOTH) {
		GO_OVER_QUADS if (x == 0) {
			row_statistics[(GROUP_ROW + row) / 4][row % 4] = lses[n];
			row_statistics[(ROWS + GROUP_ROW + row) / 4][row % 4] = -deltas[n];
		}
	} else {
		OF_ROWS(exponents, lses[n])
		OF_ROWS(less_delta, -deltas[n])
	}
	[[unroll]] for (uint w = 0; w < SUMS; w++) { BEGIN(sum[w]) }
	if (!BOTH) LOAD_ROWS(queries, 0, place_of(5, first_q), max(rows, 1) - 1, query)

	j0 = int(first_key(group_i0));
	end = int(end_key(group_i0));
	int lean = whole_keys(group_i0);
	PLACES(min(COLS, s) - 1, key)
	PAIR_PLACES(min(COLS, s) - 1, key)
	if (KNOWN) {
		FIND_KEYS // without it RDNA 3's compiler has a tenth more instructions in the loop
		first = 2 * uint64_t(START(j0, s) * key);
		if (j0 < end) FETCH_PAIRS(keys, keys_at + first)
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
				FETCH_PAIRS(keys, keys_at + first)
				[[dont_unroll]] while (left != 0 && !AT_WHOLE) add_tile(false);
				[[dont_unroll]] while (AT_WHOLE) add_tile(true);
			}
		}
	}
	barrier();
	STORE(0, sum, b * t * query + h * head_dim, group_i0, t, query, scale)
}
