// Expand repeats along a new dimension; with a scale it is the gradient of Sum.
//
//	y[o,k,i] = scale * x[o,i]
//
//grid outer*n*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer;  // product of the dimensions before
	uint n;      // the new dimension
	uint inner;  // product of the dimensions after
	float scale; // factor of every element
)
OUT(0, T, y) // [outer, n, inner]
IN(1, T, x)  // [outer, inner]

void main() {
	uint i = invocation();
	if (i < outer * n * inner) set_y(i, scale * x(i / (n * inner) * inner + i % inner));
}
