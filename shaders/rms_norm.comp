// RMSNorm divides every row by its root mean square, then multiplies by a weight for each element.
//
//	y[r,j] = x[r,j] * rstd[r] * w[j], rstd[r] = 1 / sqrt(mean over j of x[r,j]^2 + eps)
//
//grid rows
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
	float eps; // added to the mean square
)
OUT(0, T, y)        // [rows, dim]
OPT_OUT(1, S, rstd) // [rows]: kept for the gradients
IN(2, T, x)         // [rows, dim]
IN(3, W, w)         // [dim]
