// Softmax makes every row positive with sum one.
//
//	y[r,j] = exp(x[r,j] - max_j x[r,j]) / sum over j of the same
//
//grid rows
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, y) // [rows, dim]
IN(1, T, x)  // [rows, dim]
