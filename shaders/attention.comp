// Attention is softmax attention with grouped heads: query head i uses key head i / (heads/kv_heads).
//
//	y[b,i,h] = sum over seen j of softmax over j of (scale * q[b,i,h] . k[b,j,h']) * v[b,j,h']
//	lse[b,h,i] = log of the sum over seen j of exp(scale * q . k)
//
// Query i sees key j if and only if kpos[b,j] <= qpos[b,i], and window == 0 or
// qpos[b,i] - kpos[b,j] < window, and either there are no segments or
// qseg[b,i] == kseg[b,j] and kseg[b,j] >= 0. Without qpos the position of query i
// is i + s - t, without kpos that of key j is j; qseg and kseg are both nil or neither.
// A query that sees nothing gives y = 0 and lse = -inf. With soft_cap not 0 the scores s = scale * q . k become
// soft_cap * tanh(s / soft_cap) before the softmax.
//
//grid t/bm heads batch
//tile group=64 bm=16 bn=64
//tile group=128 bm=32 bn=64
//tile group=256 bm=64 bn=64
//software group=8 bm=4 bn=32
//software group=64 bm=32 bn=32

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
#define COLS bn
#define SEES(row, column) sees(row, column)
#include "include/attention.glsl"

// Of a row: the largest score so far, the sum of all weights, what the sums so far must be multiplied by.
shared float highest[bm], total[bm], factor[bm];
shared vec4 partial[bm * ACROSS / 4];
const float LEAST = -3.4e38;

// The weights of a tile of scores go to shared memory; rows whose largest score grows are scaled down.
void softmax() {
	GO_OVER_SCORES FOR_SIDE(r) {
		float m = LEAST;
		FOR_SIDE(c) if (SEEN(r, c)) m = max(m, scores[SCORES(r)][c]);
		partial[((SIDE * y + r) * ACROSS + x) / 4][x % 4] = m;
	}
	barrier();
	for (uint r = gl_LocalInvocationIndex; r < bm; r += group) {
		float m = highest[r];
		vec4 most = partial[r * ACROSS / 4];
		for (uint l = 1; l < ACROSS / 4; l++) most = max(most, partial[r * ACROSS / 4 + l]);
		m = max(max(m, max(most.x, most.y)), max(most.z, most.w));
		factor[r] = exp(highest[r] - m);
		highest[r] = m;
	}
	barrier();
	GO_OVER_SCORES {
		FOR_SIDE(r) {
			uint row = SIDE * y + r;
			FOR_SIDE(c) scores[SCORES(r)][c] = SEEN(r, c) ? exp(scores[SCORES(r)][c] - highest[row]) : 0;
			partial[(row * ACROSS + x) / 4][x % 4] = dot(scores[SCORES(r)], vec4(1));
		}
		SET_WEIGHTS(scores)
	}
	barrier();
	for (uint r = gl_LocalInvocationIndex; r < bm; r += group) {
		float sum = total[r] * factor[r];
		for (uint l = 0; l < ACROSS / 4; l++) sum += dot(partial[r * ACROSS / 4 + l], vec4(1));
		total[r] = sum;
	}
}

// A workgroup has bm queries of one head and goes over their keys, bn at a time (Dao, "FlashAttention-2", 2307.08691).
void main() {
	uint b = gl_WorkGroupID.z, h = gl_WorkGroupID.y, i0 = gl_WorkGroupID.x * bm;
	uint queries = ((b * t + i0) * heads + h) * head_dim, query = heads * head_dim, key = kv_heads * head_dim;
	for (uint r = gl_LocalInvocationIndex; r < bm; r += group) highest[r] = LEAST, total[r] = 0;
	SUMS(sum)
	// Tiles of keys begin where they do for any bm: which keys are summed together decides on bits.
	for (uint j0 = first_key(i0) / bn * bn; j0 < end_key(i0); j0 += bn) {
		LOOK(j0 + bn <= s && j0 + bn - 1 + t <= i0 + s, query_at(b, i0 + row), key_at(b, j0 + column))
		uint keys = ((b * s + j0) * kv_heads + h / (heads / kv_heads)) * head_dim;
		GO_OVER_SCORES FOR_SIDE(r) scores[SCORES(r)] = vec4(0);
		[[dont_unroll]] for (uint part = 0; part < PARTS; part++) {
			barrier();
			TURN(left, bm, q, queries, t - i0, query, part)
			TURN(right, bn, k, keys, s - j0, key, part)
			barrier();
			MULTIPLY(scores)
		}
		GO_OVER_SCORES FOR_SIDE(r) scores[SCORES(r)] = capped(scale * scores[SCORES(r)]);
		softmax();
#define ADD_STRIP(strip) \
		GO_OVER_SUMS FOR_SIDE(r) sum[SUM(strip, r)] *= factor[SIDE * y + r]; \
		ACCUMULATE(sum, strip, v, keys, s - j0, key)
		FOR_STRIPS(ADD_STRIP)
	}
	barrier();
#define STORE_STRIP(strip) STORE(y, sum, strip, queries, t - i0, query, (total[row] == 0 ? 0 : 1 / total[row]))
	FOR_STRIPS(STORE_STRIP)
	if (has_lse) {
		for (uint r = gl_LocalInvocationIndex; r < min(bm, t - i0); r += group)
			set_lse((b * heads + h) * t + i0 + r, total[r] == 0 ? -INFINITY : highest[r] + log(total[r]));
	}
}
