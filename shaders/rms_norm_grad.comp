// RMSNormGrad is the gradient of RMSNorm with respect to its input.
//
//	dx[r,j] = rstd[r] * (dy[r,j]*w[j] - n[r,j] * mean over j of dy[r,j]*w[j]*n[r,j]), n = x*rstd
//
//grid rows
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, dx)  // [rows, dim]
IN(1, T, dy)   // [rows, dim]
IN(2, T, x)    // [rows, dim]
IN(3, W, w)    // [dim]
IN(4, S, rstd) // [rows]: from RMSNorm
