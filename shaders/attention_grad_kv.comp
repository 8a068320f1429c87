// AttentionGradKV is the gradient of Attention with respect to k and v, summed over the query heads of a key head.
//
//	dv[b,j,h'] = sum over h, i of p[i,j] * dy[b,i,h]
//	dk[b,j,h'] = scale * sum over h, i of p[i,j] * (dy[b,i,h] . v[b,j,h'] - delta[b,h,i]) * q[b,i,h],
//	p[i,j] = exp(scale * q . k - lse[b,h,i]) where query i sees key j, else 0
//
// What a query sees is said at Attention.
//
//grid s/bn kv_heads batch
//tile group=64 bm=64 bn=16
//tile group=128 bm=64 bn=32
//tile group=256 bm=64 bn=64
//lean head_dim>=128 group=256 bm=128 bn=32

#include "include/kernel.glsl"

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
#define COLS bm
#define SEES(row, column) sees(column, row)
#include "include/attention.glsl"

shared float lses[bm], deltas[bm]; // of the queries
vec4 slopes[SCORE_BLOCKS * SIDE]; // dy . v, of each score

// The factors of the slopes, then those of the scores: one piece of code multiplies both.
bool of_slopes;
vec4 key_side_some(uint i, uint n) { return SOME_OF_EITHER(of_slopes, 7, 6, T, i, n); }   // v or k
vec4 query_side_some(uint i, uint n) { return SOME_OF_EITHER(of_slopes, 2, 5, T, i, n); } // dy or q

// A workgroup has bn keys of one head and goes over the query heads that share it, and their queries, bm at a time.
void main() {
	uint b = gl_WorkGroupID.z, h = gl_WorkGroupID.y, j0 = gl_WorkGroupID.x * bn;
	uint keys = ((b * s + j0) * kv_heads + h) * head_dim, query = heads * head_dim, key = kv_heads * head_dim;
	SUMS(sum_k)
	SUMS(sum_v)
	for (uint head = h * (heads / kv_heads); head < (h + 1) * (heads / kv_heads); head++) {
		for (uint i0 = first_query(j0); i0 < end_query(j0); i0 += bm) {
			LOOK(i0 + bm <= t && j0 + bn - 1 + t <= i0 + s, key_at(b, j0 + row), query_at(b, i0 + column))
			uint queries = ((b * t + i0) * heads + head) * head_dim, statistics = (b * heads + head) * t + i0;
			barrier(); // those of the queries before have been read
			for (uint i = gl_LocalInvocationIndex; i < bm; i += group) {
				uint at = statistics + min(i, t - i0 - 1);
				lses[i] = lse(at);
				deltas[i] = delta(at);
			}
			GO_OVER_SCORES FOR_SIDE(r) scores[SCORES(r)] = vec4(0);
			[[dont_unroll]] for (uint step = 0; step < 2 * PARTS; step++) {
				uint part = step % PARTS;
				of_slopes = step < PARTS;
				if (step == PARTS) GO_OVER_SCORES FOR_SIDE(r) slopes[SCORES(r)] = scores[SCORES(r)], scores[SCORES(r)] = vec4(0);
				barrier();
				TURN(left, bn, key_side, keys, s - j0, key, part)
				TURN(right, bm, query_side, queries, t - i0, query, part)
				barrier();
				MULTIPLY(scores)
			}
			barrier();
			GO_OVER_SCORES {
				FOR_SIDE(c) {
					float l = lses[SIDE * x + c], d = deltas[SIDE * x + c];
					FOR_SIDE(r) {
						float score = capped(vec4(scale * scores[SCORES(r)][c])).x;
						float p = SEEN(r, c) ? exp(score - l) : 0;
						scores[SCORES(r)][c] = p;
						slopes[SCORES(r)][c] = SEEN(r, c) ? p * (slopes[SCORES(r)][c] - d) * cap_slope(vec4(score)).x : 0;
					}
				}
				SET_WEIGHTS(scores)
			}
#define ADD_STRIP_V(strip) \
			ACCUMULATE(sum_v, strip, dy, queries, t - i0, query)
			FOR_STRIPS(ADD_STRIP_V)
			barrier();
			GO_OVER_SCORES SET_WEIGHTS(slopes)
#define ADD_STRIP_K(strip) \
			ACCUMULATE(sum_k, strip, q, queries, t - i0, query)
			FOR_STRIPS(ADD_STRIP_K)
		}
	}
#define STORE_STRIP(strip) \
	STORE(dk, sum_k, strip, keys, s - j0, key, scale) \
	STORE(dv, sum_v, strip, keys, s - j0, key, 1)
	FOR_STRIPS(STORE_STRIP)
}
