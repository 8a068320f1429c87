// Cast converts between storage types, rounding to nearest even.
//
//	y[i] = x[i]
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, y) // [n]
IN(1, U, x)  // [n]
