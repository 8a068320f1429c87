// SumSquares adds up the squares of every block of elements. Blocks are cut by shape, never by the number of workers.
//
//	partial[k] = sum of x[i]^2 over k*block <= i < min(n, (k+1)*block)
//
//grid n/block
//tile group=256

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint n;     // elements
	uint block; // elements of a block
)
OUT(0, S, partial) // [n/block]
IN(1, T, x)        // [n]

// A workgroup a block.
void main() {
	uint first = group_index() * block, end = min(n, first + block);
	if (first >= n) return;
	vec4 squares = vec4(0);
	for (uint i = first + 4 * gl_LocalInvocationIndex; i < end; i += 4 * group) {
		vec4 f = x_some(i, end - i);
		squares = fma(f, f, squares);
	}
	float s = group_sum((squares.x + squares.y) + (squares.z + squares.w));
	if (gl_LocalInvocationIndex == 0) set_partial(first / block, s);
}
