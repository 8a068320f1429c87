// ScatterAdd adds elements along one dimension to where an index says: the gradient of Gather. An
// index outside is skipped.
//
//	y[o,k,i] = base[o,k,i] + sum over the j with index[o,j,i] == k of x[o,j,i], in the order of j; base is 0 where nil
//
//grid outer*n*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer; // product of the dimensions before
	uint n;     // the dimension of y
	uint m;     // the dimension of x
	uint inner; // product of the dimensions after
)
OUT(0, T, y)       // [outer, n, inner]
IN(1, T, x)        // [outer, m, inner]
IN(2, I, index)    // [outer, m, inner]
OPT_IN(3, T, base) // [outer, n, inner]

// An invocation an element of y looks at all indices that may name it: no two add to one.
void main() {
	uint i = invocation();
	if (i >= outer * n * inner) return;
	uint o = i / (n * inner), k = i / inner % n, at = o * m * inner + i % inner;
	float s = has_base ? base(i) : 0;
	for (uint j = 0; j < m; j++)
		if (uint(index(at + j * inner)) == k) s += x(at + j * inner);
	set_y(i, s);
}
