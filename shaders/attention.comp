// Attention is softmax attention with grouped heads: query head i uses key head i / (heads/kv_heads).
//
//	y[b,i,h] = sum over seen j of softmax over j of (scale * q[b,i,h] . k[b,j,h']) * v[b,j,h']
//	lse[b,h,i] = log of the sum over seen j of exp(scale * q . k)
//
// Query i sees key j if and only if kpos[b,j] <= qpos[b,i], and window == 0 or
// qpos[b,i] - kpos[b,j] < window, and either there are no segments or
// qseg[b,i] == kseg[b,j] and kseg[b,j] >= 0. Without qpos the position of query i
// is i + s - t, without kpos that of key j is j; qseg and kseg are both nil or neither.
// A query that sees nothing gives y = 0 and lse = -inf.
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
OUT(0, T, y)       // [batch, t, heads, head_dim]
OPT_OUT(1, S, lse) // [batch, heads, t]: kept for the gradients
IN(2, T, q)        // [batch, t, heads, head_dim]
IN(3, T, k)        // [batch, s, kv_heads, head_dim]
IN(4, T, v)        // [batch, s, kv_heads, head_dim]
OPT_IN(5, I, qpos) // [batch, t]: positions of the queries
OPT_IN(6, I, kpos) // [batch, s]: positions of the keys
OPT_IN(7, I, qseg) // [batch, t]: segments of the queries
OPT_IN(8, I, kseg) // [batch, s]: segments of the keys, -1 = padding
