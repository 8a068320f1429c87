// LayerNormGradWeight is the gradient of LayerNorm with respect to its weight and its bias.
//
//	dw[j] (+)= sum over r of dy[r,j] * (x[r,j] - mean[r]) * rstd[r]
//	db[j] (+)= sum over r of dy[r,j]
//
//grid dim/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
CONST(0, bool, acc) // add to dw and db instead of replacing them
OPT_INOUT(0, S, dw) // [dim]
OPT_INOUT(1, S, db) // [dim]
IN(2, T, dy)        // [rows, dim]
IN(3, T, x)         // [rows, dim]
IN(4, S, mean)      // [rows]: from LayerNorm
IN(5, S, rstd)      // [rows]: from LayerNorm
