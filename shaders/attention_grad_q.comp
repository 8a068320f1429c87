// AttentionGradQ is the gradient of Attention with respect to q; it also writes delta for AttentionGradKV.
//
//	delta[b,h,i] = dy[b,i,h] . y[b,i,h]
//	dq[b,i,h] = scale * sum over seen j of p[i,j] * (dy[b,i,h] . v[b,j,h'] - delta[b,h,i]) * k[b,j,h'],
//	p[i,j] = exp(scale * q . k - lse[b,h,i]); with a soft_cap, exp of the capped score, and each term times the
//	cap's slope there
//
// What a query sees is said at Attention.
//
//grid t/bm heads batch
//tile group=64 bm=16 bn=64
//tile group=128 bm=32 bn=64
//tile group=256 bm=64 bn=64

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
#define COLS bn
#define SEES(row, column) sees(row, column)
#include "include/attention.glsl"

shared float lses[bm], deltas[bm];
vec4 slopes[SCORE_BLOCKS * SIDE]; // dy . v, of each score

// The factors of the slopes, then those of the scores: one piece of code multiplies both.
bool of_slopes;
vec4 query_side_some(uint i, uint n) { return SOME_OF_EITHER(of_slopes, 2, 5, T, i, n); } // dy or q
vec4 key_side_some(uint i, uint n) { return SOME_OF_EITHER(of_slopes, 7, 6, T, i, n); }   // v or k

// A workgroup has bm queries of one head and goes over their keys, bn at a time.
void main() {
	uint b = gl_WorkGroupID.z, h = gl_WorkGroupID.y, i0 = gl_WorkGroupID.x * bm;
	uint queries = ((b * t + i0) * heads + h) * head_dim, query = heads * head_dim, key = kv_heads * head_dim;
	for (uint r = gl_LocalInvocationIndex; r < bm; r += group) {
		float sum = 0;
		if (i0 + r < t) {
			for (uint d = 0; d < head_dim; d += 4) sum += dot(dy_some(queries + r * query + d, head_dim - d), y_some(queries + r * query + d, head_dim - d));
			uint at = (b * heads + h) * t + i0 + r;
			set_delta(at, sum);
			lses[r] = lse(at);
		}
		deltas[r] = sum;
	}
	SUMS(sum)
	for (uint j0 = first_key(i0); j0 < end_key(i0); j0 += bn) {
		LOOK(j0 + bn <= s && j0 + bn - 1 + t <= i0 + s, query_at(b, i0 + row), key_at(b, j0 + column))
		uint keys = ((b * s + j0) * kv_heads + h / (heads / kv_heads)) * head_dim;
		GO_OVER_SCORES FOR_SIDE(r) scores[SCORES(r)] = vec4(0);
		[[dont_unroll]] for (uint step = 0; step < 2 * PARTS; step++) {
			uint part = step % PARTS;
			of_slopes = step < PARTS;
			if (step == PARTS) GO_OVER_SCORES FOR_SIDE(r) slopes[SCORES(r)] = scores[SCORES(r)], scores[SCORES(r)] = vec4(0);
			barrier();
			TURN(left, bm, query_side, queries, t - i0, query, part)
			TURN(right, bn, key_side, keys, s - j0, key, part)
			barrier();
			MULTIPLY(scores)
		}
		barrier();
		GO_OVER_SCORES {
			FOR_SIDE(r) {
				float l = lses[SIDE * y + r], delta = deltas[SIDE * y + r];
				vec4 score = capped(scale * scores[SCORES(r)]), turn = cap_slope(score);
				FOR_SIDE(c) {
					float p = exp(score[c] - l);
					scores[SCORES(r)][c] = SEEN(r, c) ? p * (slopes[SCORES(r)][c] - delta) * turn[c] : 0;
				}
			}
			SET_WEIGHTS(scores)
		}
#define ADD_STRIP(strip) \
		ACCUMULATE(sum, strip, k, keys, s - j0, key)
		FOR_STRIPS(ADD_STRIP)
	}
#define STORE_STRIP(strip) STORE(dq, sum, strip, queries, t - i0, query, scale)
	FOR_STRIPS(STORE_STRIP)
}
