// SumSquares adds up the squares of every block of elements. Blocks are cut by shape, never by the number of workers.
//
//	partial[k] = sum of x[i]^2 over k*block <= i < min(n, (k+1)*block)
//
//grid n/block
//tile group=256

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/reduce.glsl"

PUSH(
	uint n;     // elements
	uint block; // elements of a block
)
OUT(0, S, partial) // [n/block]
IN(1, T, x)        // [n]

float squares(bool fours) {
	vec4 sums = vec4(0);
	EACH4(i) {
		vec4 f = GET4(x, i);
		sums = fma(f, f, sums);
	}
	return (sums.x + sums.y) + (sums.z + sums.w);
}

// A workgroup a block.
void main() {
	uint k = group_index();
	if (k * block >= n) return;
	float s = group_sum(EACH_IN_FOURS && block % 4 == 0 ? squares(true) : squares(false));
	if (gl_LocalInvocationIndex == 0) set_partial(k, s);
}
