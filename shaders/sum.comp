// Sum adds up one dimension.
//
//	y[o,i] (+)= scale * sum over k of x[o,k,i]
//
//grid outer*inner/cols
//tile group=256 cols=32

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint outer;  // product of the dimensions before
	uint n;      // the dimension that goes
	uint inner;  // product of the dimensions after
	float scale; // factor of every sum: 1/n makes it a mean
)
CONST(0, bool, acc) // add to y instead of replacing it
INOUT(0, T, y) // [outer, inner]
IN(1, U, x)    // [outer, n, inner]

// A workgroup has cols sums: rows that lie in one piece one after the other, or cols neighbors
// side by side, each in group/cols slices.
void main() {
	uint i = gl_LocalInvocationIndex, first = group_index() * cols;
	if (inner == 1) {
		for (uint o = first; o < min(outer, first + cols); o++) {
			float s = 0;
			for (uint k = i; k < n; k += group) s += x(o * n + k);
			s = scale * group_sum(s);
			if (i == 0) set_y(o, acc ? y(o) + s : s);
		}
		return;
	}
	uint at = first + i % cols, o = at / inner, slices = group / cols;
	bool inside = at < outer * inner && i < slices * cols;
	float s = 0;
	if (inside)
		for (uint k = i / cols; k < n; k += slices) s += x((o * n + k) * inner + at % inner);
	s = scale * column_sum(s, cols);
	if (inside && i < cols) set_y(at, acc ? y(at) + s : s);
}
