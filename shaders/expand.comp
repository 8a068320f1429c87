// Expand repeats along a new dimension; with a scale it is the gradient of Sum.
//
//	y[o,k,i] = scale * x[o,i]
//
//grid outer*n*inner/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint outer;  // product of the dimensions before
	uint n;      // the new dimension
	uint inner;  // product of the dimensions after
	float scale; // factor of every element
)
OUT(0, T, y) // [outer, n, inner]
IN(1, T, x)  // [outer, inner]

// With fours, four elements are of one o, and of one k or all the same element of x.
void elements(bool fours, uint repeats) {
	uint n = outer * repeats * inner, each = repeats * inner;
	EACH4(i) SET4(y, i, scale * (inner == 1 ? vec4(x(i / each)) : GET4(x, i / each * inner + i % inner)))
}

void main() {
	uint repeats = n, each = n * inner;
	{
		uint n = outer * each;
		if (EACH_IN_FOURS && (inner == 1 ? each : inner) % 4 == 0) elements(true, repeats);
		else elements(false, repeats);
	}
}
