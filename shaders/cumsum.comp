// CumSum adds up along one dimension, keeping every sum on the way; in reverse it is its gradient.
//
//	y[o,k,i] = sum over j <= k of x[o,j,i], or over j >= k in reverse, in that order
//
//grid outer*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer; // product of the dimensions before
	uint n;     // the dimension
	uint inner; // product of the dimensions after
)
CONST(0, bool, reverse) // from the end
OUT(0, T, y) // [outer, n, inner]
IN(1, T, x)  // [outer, n, inner]

// An invocation a row, so that its order is that of the CPU.
void main() {
	uint r = invocation();
	if (r >= outer * inner) return;
	uint at = r / inner * n * inner + r % inner;
	float s = 0;
	for (uint j = 0; j < n; j++) {
		uint k = at + (reverse ? n - 1 - j : j) * inner;
		s += x(k);
		set_y(k, s);
	}
}
