// Sum adds up one dimension.
//
//	y[o,i] (+)= scale * sum over k of x[o,k,i]
//
//grid outer*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer;  // product of the dimensions before
	uint n;      // the dimension that goes
	uint inner;  // product of the dimensions after
	float scale; // factor of every sum: 1/n makes it a mean
)
CONST(0, bool, acc) // add to y instead of replacing it
INOUT(0, T, y) // [outer, inner]
IN(1, U, x)    // [outer, n, inner]
