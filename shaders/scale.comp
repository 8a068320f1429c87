// Scale multiplies by a number and adds another.
//
//	y[i] = alpha * x[i] + beta
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;      // elements
	float alpha; // factor
	float beta;  // summand
)
OUT(0, T, y) // [n] may be x
IN(1, T, x)  // [n]
