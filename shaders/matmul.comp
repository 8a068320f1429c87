// Matmul multiplies matrices, a batch of independent ones.
//
//	c[b,i,j] (+)= sum over l of a[b,i,l] * b[b,l,j] + bias[j]
//
//grid n/bn m/bm batch
//tile group=64 bm=32 bn=32

#include "include/kernel.glsl"

PUSH(
	uint batch; // products
	uint m;     // rows of c
	uint n;     // columns of c
	uint k;     // length of the sums
)
CONST(0, bool, trans_a) // a is stored as [batch, k, m]
CONST(1, bool, trans_b) // b is stored as [batch, n, k]
CONST(2, bool, acc)     // add to c instead of replacing it
INOUT(0, T, c)     // [batch, m, n]
IN(1, U, a)        // [batch, m, k], or [batch, k, m] if trans_a
IN(2, W, b)        // [batch, k, n], or [batch, n, k] if trans_b
OPT_IN(3, V, bias) // [n]
