// AttentionGradQ is the gradient of Attention with respect to q; it also writes delta for AttentionGradKV.
//
//	delta[b,h,i] = dy[b,i,h] . y[b,i,h]
//	dq[b,i,h] = scale * sum over seen j of p[i,j] * (dy[b,i,h] . v[b,j,h'] - delta[b,h,i]) * k[b,j,h'],
//	p[i,j] = exp(scale * q . k - lse[b,h,i])
//
// What a query sees is said at Attention.
//
//grid t/bm heads batch
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
