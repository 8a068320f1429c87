// LayerNormGrad is the gradient of LayerNorm with respect to its input.
//
//	dx[r,j] = rstd[r] * (g[r,j] - mean over j of g[r,j] - n[r,j] * mean over j of g[r,j]*n[r,j]),
//	g = dy*w, n = (x - mean)*rstd
//
//grid rows
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, dx)   // [rows, dim]
IN(1, T, dy)    // [rows, dim]
IN(2, T, x)     // [rows, dim]
OPT_IN(3, W, w) // [dim]
IN(4, S, mean)  // [rows]: from LayerNorm
IN(5, S, rstd)  // [rows]: from LayerNorm
