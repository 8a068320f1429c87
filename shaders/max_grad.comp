// MaxGrad is the gradient of Max.
//
//	dx[o,k,i] = dy[o,i] if k == index[o,i], else 0
//
//grid outer*n*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer; // product of the dimensions before
	uint n;     // the dimension that Max removed
	uint inner; // product of the dimensions after
)
OUT(0, T, dx)   // [outer, n, inner]
IN(1, T, dy)    // [outer, inner]
IN(2, I, index) // [outer, inner]: from Max

void main() {
	uint i = invocation();
	if (i >= outer * n * inner) return;
	uint r = i / inner, from = r / n * inner + i % inner;
	set_dx(i, index(from) == int(r % n) ? dy(from) : 0);
}
