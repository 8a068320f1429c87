// LayerNorm gives every row mean zero and variance one, then multiplies by w and adds b.
//
//	y[r,j] = (x[r,j] - mean[r]) * rstd[r] * w[j] + b[j], rstd[r] = 1 / sqrt(variance[r] + eps)
//
// The variance is the biased one (divided by dim). Without w it is 1, without b it is 0.
//
//grid rows
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
	float eps; // added to the variance
)
OUT(0, T, y)        // [rows, dim]
OPT_OUT(1, S, mean) // [rows]: kept for the gradients
OPT_OUT(2, S, rstd) // [rows]: kept for the gradients
IN(3, T, x)         // [rows, dim]
OPT_IN(4, W, w)     // [dim]
OPT_IN(5, W, b)     // [dim]
