// AttentionFew is Attention for a few queries, as in decoding. Each has a workgroup, all of whose invocations go over
// its keys: a tile of queries would be empty but for a row.
//
//for attention
//takes t<=8 head_dim%4 head_dim<=256 aligned
//grid t/bm heads batch
//tile group=512 bm=1 bn=512
//software group=64 bm=1 bn=64

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
#include "include/seeing.glsl"
#include "include/reduce.glsl"

// LANES invocations beside each other take a key together, FOURS times four elements each, LANES fours apart; then each
// has one of the workgroup's bn scores. A line of products is four longer, so that the lanes of four keys write to
// different banks.
const uint WIDTH = head_dim / 4, LANES = 8, FOURS = (WIDTH + LANES - 1) / LANES, LINE = bn + 4;
shared float products[LANES * LINE], weights[bn];

// The sum of a four of elements is divided among STREAMS invocations, which take STEPS values before they add them.
const uint STREAMS = group / WIDTH, STEPS = 4;

const float LEAST = -3.4e38;

void main() {
	uint b = gl_WorkGroupID.z, h = gl_WorkGroupID.y, i0 = gl_WorkGroupID.x, own = gl_LocalInvocationIndex;
	uint query = ((b * t + i0) * heads + h) * head_dim, key = kv_heads * head_dim;
	uint keys = b * s * key + h / (heads / kv_heads) * head_dim, end = end_key(i0);
	uint lane = own % LANES, stream = own / WIDTH, place = own % WIDTH;
	ivec2 this_query = query_at(b, i0);
	vec4 part[FOURS], sum = vec4(0);
	[[unroll]] for (uint e = 0; e < FOURS; e++) {
		uint d = lane + e * LANES;
		part[e] = d < WIDTH ? q_four(query + 4 * d) : vec4(0);
	}
	float highest = LEAST, total = 0; // of all scores so far; of this invocation's weights
	for (uint j0 = first_key(i0); j0 < end; j0 += bn) {
		uint n = min(bn, end - j0);
		for (uint c = own / LANES; c < n; c += group / LANES) {
			vec4 f = vec4(0);
			[[unroll]] for (uint e = 0; e < FOURS; e++) {
				uint d = min(lane + e * LANES, WIDTH - 1); // behind the last one part is 0
				f = fma(part[e], k_four(keys + (j0 + c) * key + 4 * d), f);
			}
			products[lane * LINE + c] = dot(f, vec4(1));
		}
		barrier();
		float score = LEAST;
		bool seen = own < n && sees(this_query, key_at(b, j0 + own));
		if (seen) {
			score = 0;
			[[unroll]] for (uint l = 0; l < LANES; l++) score += products[l * LINE + own];
			score = capped(vec4(scale * score)).x;
		}
		float most = max(highest, group_max(score)), factor = exp(highest - most), weight = seen ? exp(score - most) : 0;
		highest = most;
		total = total * factor + weight;
		weights[own] = weight;
		sum *= factor;
		barrier();
		if (stream < STREAMS)
			for (uint c = stream; c < n; c += STEPS * STREAMS) {
				vec4 f[STEPS];
				[[unroll]] for (uint e = 0; e < STEPS; e++)
					f[e] = v_four(keys + (j0 + min(c + e * STREAMS, n - 1)) * key + 4 * place);
				[[unroll]] for (uint e = 0; e < STEPS; e++)
					sum = fma(vec4(c + e * STREAMS < n ? weights[c + e * STREAMS] : 0), f[e], sum);
			}
	}
	total = group_sum(total);
	sum = column_sum4(sum, WIDTH) * (total == 0 ? 0 : 1 / total);
	if (own < WIDTH) set_y_four(query + 4 * own, sum);
	if (has_lse && own == 0) set_lse((b * heads + h) * t + i0, total == 0 ? -INFINITY : highest + log(total));
}
