// SoftmaxGrad is the gradient of Softmax.
//
//	dx[r,j] = y[r,j] * (dy[r,j] - sum over j of dy[r,j]*y[r,j])
//
//grid rows
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, dx) // [rows, dim]
IN(1, T, dy)  // [rows, dim]
IN(2, T, y)   // [rows, dim]: Softmax's output
