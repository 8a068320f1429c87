// AttentionGradKVCoopmat is AttentionGradKV with cooperative matrices: of f16 or bf16, which weights are rounded to as
// factors; sums are f32.
//
//for attention_grad_kv
//needs cooperative_matrix f16 bf16
//takes head_dim%16 head_dim<=128 aligned
//grid s/bn kv_heads batch
//tile group=64 bm=32 bn=64
//tile group=128 bm=32 bn=64
//tile group=256 bm=32 bn=64
//lean head_dim>=64 head_dim<=64 group=256 bm=64 bn=64
//narrow head_dim<=64
//narrow head_dim>=96 head_dim%32 group=256 bm=64 bn=64

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
OUT(0, T, dk)       // [batch, s, kv_heads, head_dim]
OUT(1, T, dv)       // [batch, s, kv_heads, head_dim]
IN(2, T, dy)        // [batch, t, heads, head_dim]
IN(3, S, lse)       // [batch, heads, t]: from Attention
IN(4, S, delta)     // [batch, heads, t]: from AttentionGradQ
IN(5, T, q)         // [batch, t, heads, head_dim]
IN(6, T, k)         // [batch, s, kv_heads, head_dim]
IN(7, T, v)         // [batch, s, kv_heads, head_dim]
OPT_IN(8, I, qpos)  // [batch, t]: positions of the queries
OPT_IN(9, I, kpos)  // [batch, s]: positions of the keys
OPT_IN(10, I, qseg) // [batch, t]: segments of the queries
OPT_IN(11, I, kseg) // [batch, s]: segments of the keys, -1 = padding

#define ROWS bn
#define COLS (SHORT ? 2 * bm : bm)
#define SEES(row, column) sees(column, row)
#define SCRATCH 1
#define HEIGHT (SHORT ? 2 : 1) // two matrices beside half of four columns take fewer factors than one beside all
#include "include/attention_coopmat.glsl"

// The keys of the workgroup: registers have no room for them beside the values. Behind each stands its value where
// subgroups are so small that an invocation's part of the sums leaves no room for values either, or share rows because invocations have
// few registers. (What is right of && or || must be short, or the compiler makes a branch of it and no constant.)
const bool BOTH = (SHARE > 1 || head_dim > 64) && SUBGROUP <= 32;
const uint KEPT = BOTH ? LINE + EIGHTS : LINE;
shared uvec4 kept[ROWS * KEPT];
#define KEPT_ROWS(from) coopMatLoad(rows[r], kept, (GROUP_ROW + r * MATRIX_M) * KEPT + from + d * DEEP, KEPT, BY_ROWS);
// Of a tile's queries lse, times log2(e), less RAISED, and behind them all -delta; matrices are loaded from multiples of 16 bytes. An invocation
// brings every group-th. Where a branch would cost more than memory, invocations that are too many have places, too.
const uint BROUGHT = (2 * COLS + group - 1) / group;
shared vec4 statistics[(SHORT ? BROUGHT * group : 2 * COLS) / 4];
#define GO_OVER_STATISTICS GO_OVER(BROUGHT)
#define OF_BLOCK gl_SubgroupID % SIDES * (BLOCKS * MATRIX_N / 4) + c % BLOCKS * (MATRIX_N / 4)

// A workgroup has bn keys of one head and goes over the query heads that share it, and their queries, bm at a time.
uint b = gl_WorkGroupID.z, h = gl_WorkGroupID.y, group_j0 = gl_WorkGroupID.x * bn;
uint j0 = min(group_j0 + GROUP_ROW, s - 1), own = OWN_WORDS;
uint query = heads * head_dim;
MATRIX_C sum_k[SUMS], sum_v[SUMS];
MATRIX_A values[HEIGHT * DEPTHS];
uvec4 next[2 * PAIRS];
vec2 brought[BROUGHT]; // lse, delta
// Which of them an invocation puts down, and for bf16 what that is multiplied by and made smaller by: two instructions fewer in RDNA 4's
// loops, but up to 19 more in RDNA 3's, which have f16 alone.
#define IS_LSE (m / COLS % 2 == 0)
float statistic_scale[BROUGHT], statistic_less[BROUGHT];

// A tile's first query, that of the tiles that are looked at together, where the last one that anybody sees ends, where the tile
// lies, where the head's q and dy begin, and how many bytes behind that the tile's do.
int i0, begin, end;
uint from;
uint64_t queries_at, grads_at, first;
// Where the head's statistics begin, and how many bytes behind a tile's first the invocation's is. Both are read, for an address of
// which lanes choose would be more instructions.
uint64_t lse_at, delta_at;
uint statistic_place = 4 * min(gl_LocalInvocationIndex % COLS, min(COLS, t) - 1);
#define FIND_QUERIES \
	FIND(i0, begin, end, t, \
		j0 + HEIGHT * MATRIX_M - 1 + t <= i0 + s && (window == 0 || i0 + COLS - 1 + s < j0 + t + window), \
		key_at(b, j0 + p / WORDS * MATRIX_M + row), query_at(b, column))
#define GO_TO(place) { from = place; first = 2 * uint64_t(from * query); }
// FETCH_FIRST fetches what the loop takes first of a tile.
#define FETCH_FIRST { \
		FETCH_PAIRS(next, queries_at + first) \
		GO_OVER_STATISTICS brought[e] = vec2(Floats(lse_at + 4 * uint64_t(from) + uint64_t(statistic_place)).at[0], \
			Floats(delta_at + 4 * uint64_t(from) + uint64_t(statistic_place)).at[0]); \
	}

// Adds what a tile gives to the sums, and goes on to the next. Lean: all of its queries see all keys of the workgroup.
void add_tile(bool lean) {
	barrier();
	PUT_PAIRS(next)
	GO_OVER_STATISTICS if (SHORT || m < 2 * COLS)
		statistics[m / 4][m % 4] = FACTOR == BF16 ? (IS_LSE ? brought[e].x : brought[e].y) * statistic_scale[e] - statistic_less[e] :
			IS_LSE ? LOG2_E * brought[e].x : -brought[e].y;
	barrier();
	FETCH_PAIRS(next, grads_at + first)
	const uint ALL = HEIGHT * BLOCKS;
	MATRIX_C scores[ALL], slopes[ALL], exponents[ALL]; // slopes: dy . v - delta; exponents: lse
	GO_OVER_BLOCKS scores[c] = MATRIX_C(0.0);
	SCORES(scores, KEPT_ROWS(0))
	barrier();
	PUT_PAIRS(next)
	barrier();
	GO_OVER_BLOCKS coopMatLoad(slopes[c], statistics, COLS / 4 + OF_BLOCK, 0, BY_ROWS);
	SCORES(slopes, if (BOTH) KEPT_ROWS(EIGHTS) else rows[r] = values[r * DEPTHS + d];)

	GO_OVER_BLOCKS coopMatLoad(exponents[c], statistics, OF_BLOCK, 0, BY_ROWS);
	MATRIX_C weights[ALL / 2], slants[ALL / 2]; // slants: the gradients of scores
	GO_OVER_WORDS [[unroll]] for (uint i = 0; i < weights[p].length(); i++) {
		vec2 score = vec2(scores[2 * p][i], scores[2 * p + 1][i]);
		vec2 f = exp2(exponent(score) - vec2(exponents[2 * p][i], exponents[2 * p + 1][i]));
		vec2 g = f * vec2(slopes[2 * p][i], slopes[2 * p + 1][i]) * cap_slope(capped(scale * score));
		weights[p][i] = uintBitsToFloat(weights2(f));
		slants[p][i] = uintBitsToFloat(weights2(g));
	}
	if (!lean) {
		PUT_MASK
		AND_MASK(weights)
		AND_MASK(slants)
		subgroup_barrier();
	}
	SET_WEIGHTS(weights)
	barrier();
	PUT_TURNED(next)
	barrier();
	FETCH_PAIRS(next, queries_at + first)
	ACCUMULATE(sum_v)

	NEXT(i0, begin)
	if (!lean) FIND_QUERIES
	GO_TO(lean ? min(uint(i0), t - COLS) : START(i0, t))
	barrier();
	SET_WEIGHTS(slants)
	PUT_TURNED(next)
	barrier();
	FETCH_FIRST
	ACCUMULATE(sum_k)
}

void main() {
	// The last key stands in the place of those past the end.
	uint key = kv_heads * head_dim, first_k = (b * s + group_j0) * key + h * head_dim, last = s - 1 - group_j0;
	GO_OVER((ROWS * EIGHTS + group - 1) / group) if (ROWS * EIGHTS % group == 0 || m < ROWS * EIGHTS) {
		uint place = 2 * min(m / EIGHTS, last) * key + 16 * (m % EIGHTS), to = m / EIGHTS * KEPT + m % EIGHTS;
		kept[to] = eight(place_of(6, first_k), place);
		if (BOTH) kept[to + EIGHTS] = eight(place_of(7, first_k), place);
	}
	[[unroll]] for (uint w = 0; w < SUMS; w++) { BEGIN(sum_k[w]) BEGIN(sum_v[w]) }
	if (!BOTH) [[unroll]] for (uint r = 0; r < HEIGHT; r++) {
		uint j = min(GROUP_ROW + r * MATRIX_M, last);
		LOAD_ROWS(values, r * DEPTHS, place_of(7, first_k + j * key), last - j, key)
	}

	// The last tile ends with the last query, so that tiles are whole from some on.
	end = int(end_query(group_j0));
	int tiles = (max(end - int(first_query(group_j0)), 0) + int(COLS) - 1) / int(COLS), lean = min(whole_queries(group_j0), end);
	PAIR_PLACES(min(COLS, t) - 1, query)
	GO_OVER_STATISTICS statistic_scale[e] = IS_LSE ? LOG2_E : -1, statistic_less[e] = IS_LSE ? RAISED : 0;
	if (!KNOWN) BOUND_ROWS(group_j0, s, key_in)
	[[dont_unroll]] for (uint head = h * (heads / kv_heads); head < (h + 1) * (heads / kv_heads); head++) {
		queries_at = place_of(5, (b * t * heads + head) * head_dim);
		grads_at = place_of(2, (b * t * heads + head) * head_dim);
		lse_at = packUint2x32(address[3]) + 4 * uint64_t((b * heads + head) * t);
		delta_at = packUint2x32(address[4]) + 4 * uint64_t((b * heads + head) * t);
		i0 = end - tiles * int(COLS);
		if (KNOWN) {
			FIND_QUERIES
			if (i0 < end) {
				GO_TO(START(i0, t))
				FETCH_FIRST
			}
			[[dont_unroll]] while (i0 < lean) add_tile(false);
			[[dont_unroll]] while (i0 < end) add_tile(true);
		} else [[dont_unroll]] for (begin = i0; begin < end; begin += int(LOOKED * COLS)) {
			if (tiles > LOOKED || head == h * (heads / kv_heads)) LOOK(begin, (end - begin) / COLS, t, query_in)
			START_TILES(i0, begin)
			[[dont_unroll]] while (left != 0) {
				FIND_QUERIES
				GO_TO(START(i0, t))
				FETCH_FIRST
				[[dont_unroll]] while (left != 0 && !AT_WHOLE) add_tile(false);
				[[dont_unroll]] while (AT_WHOLE) add_tile(true);
			}
		}
	}
	barrier();
	uint first_out = b * s * key + h * head_dim;
	STORE(0, sum_k, first_out, group_j0, s, key, scale)
	STORE(1, sum_v, first_out, group_j0, s, key, 1)
}
