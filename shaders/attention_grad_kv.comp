// AttentionGradKV is the gradient of Attention with respect to k and v, summed over the query heads of a key head.
//
//	dv[b,j,h'] = sum over h, i of p[i,j] * dy[b,i,h]
//	dk[b,j,h'] = scale * sum over h, i of p[i,j] * (dy[b,i,h] . v[b,j,h'] - delta[b,h,i]) * q[b,i,h],
//	p[i,j] = exp(scale * q . k - lse[b,h,i]) where query i sees key j, else 0
//
// What a query sees is said at Attention.
//
//grid s/bn kv_heads batch
//tile group=64 bm=32 bn=32

#include "include/kernel.glsl"

PUSH(
	uint batch;    // sequences
	uint t;        // queries of a sequence
	uint s;        // keys of a sequence
	uint heads;    // query heads, a multiple of kv_heads
	uint kv_heads; // key and value heads
	uint window;   // positions a query sees, its own included; 0 = all
	float scale;   // factor of every q . k
)
CONST(0, uint, head_dim) // elements of a head
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
