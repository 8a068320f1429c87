// Gather takes elements along one dimension by index. An index outside gives NaN.
//
//	y[o,j,i] = x[o,index[o,j,i],i]
//
//grid outer*m*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer; // product of the dimensions before
	uint n;     // the dimension of x
	uint m;     // the dimension of y
	uint inner; // product of the dimensions after
)
OUT(0, T, y)    // [outer, m, inner]
IN(1, T, x)     // [outer, n, inner]
IN(2, I, index) // [outer, m, inner]

void main() {
	uint i = invocation();
	if (i >= outer * m * inner) return;
	uint k = uint(index(i)); // a negative one is large
	set_y(i, k < n ? x((i / (m * inner) * n + k) * inner + i % inner) : NAN);
}
