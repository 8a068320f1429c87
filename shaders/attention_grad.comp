// AttentionGrad is AttentionGradQ and AttentionGradKV in one, for backends that offer it: probabilities are made once,
// and dk and dv are sums over queries that neither atomics nor the number of threads may order.
//
//	delta = dy[b,i,h] . y[b,i,h], ds[i,j] = p[i,j] * (dy[b,i,h] . v[b,j,h'] - delta),
//	dq[b,i,h] = scale * sum over seen j of ds[i,j] * k[b,j,h'],
//	dk[b,j,h'] = scale * sum over h, i of ds[i,j] * q[b,i,h], dv[b,j,h'] = sum over h, i of p[i,j] * dy[b,i,h],
//	p[i,j] = exp(scale * q . k - lse[b,h,i]); with a soft_cap, exp of the capped score, and each ds times the
//	cap's slope there
//
// What a query sees is said at Attention.
//
//grid kv_heads batch
//tile group=64

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
OUT(1, T, dk)       // [batch, s, kv_heads, head_dim]
OUT(2, T, dv)       // [batch, s, kv_heads, head_dim]
IN(3, T, dy)        // [batch, t, heads, head_dim]
IN(4, T, y)         // [batch, t, heads, head_dim]: Attention's output
IN(5, S, lse)       // [batch, heads, t]: from Attention
IN(6, T, q)         // [batch, t, heads, head_dim]
IN(7, T, k)         // [batch, s, kv_heads, head_dim]
IN(8, T, v)         // [batch, s, kv_heads, head_dim]
OPT_IN(9, I, qpos)  // [batch, t]: positions of the queries
OPT_IN(10, I, kpos) // [batch, s]: positions of the keys
OPT_IN(11, I, qseg) // [batch, t]: segments of the queries
OPT_IN(12, I, kseg) // [batch, s]: segments of the keys, -1 = padding
