// Flip reverses the order along one dimension.
//
//	y[o,k,i] = x[o,n-1-k,i]
//
//grid outer*n*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer; // product of the dimensions before
	uint n;     // the dimension
	uint inner; // product of the dimensions after
)
OUT(0, T, y) // [outer, n, inner]
IN(1, T, x)  // [outer, n, inner]

void main() {
	uint i = invocation();
	if (i >= outer * n * inner) return;
	uint k = i / inner % n;
	set_y(i, x(i + (n - 1 - 2 * k) * inner));
}
