// RMSNormGradWeight is the gradient of RMSNorm with respect to its weight.
//
//	dw[j] (+)= sum over r of dy[r,j] * x[r,j] * rstd[r]
//
//grid dim/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
CONST(0, bool, acc) // add to dw instead of replacing it
INOUT(0, S, dw) // [dim]
IN(1, T, dy)    // [rows, dim]
IN(2, T, x)     // [rows, dim]
IN(3, S, rstd)  // [rows]: from RMSNorm
