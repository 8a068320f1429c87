// Dropout zeroes elements with probability p and divides the others by 1-p; the gradient is the same kernel.
//
//	y[i] = u[i] >= p ? x[i] / (1-p) : 0
//
// u[i] is uniform in [0, 1): the upper 24 bits of word i%4 of the Philox 4x32 block with
// key {key0, key1} and counter {i/4 low, i/4 high, step, op}, times 2^-24.
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/philox.glsl"

PUSH(
	uint n;    // elements
	float p;   // probability of a zero, below 1
	bits key0; // the stream's key
	bits key1;
	bits step; // the training step
	bits op;   // which random operation of the step
)
OUT(0, T, y) // [n] may be x
IN(1, T, x)  // [n]

// Four elements are one block of Philox.
void elements(bool fours) {
	EACH4(i) {
		vec4 u = uniform01(philox(uvec2(key0, key1), uvec4(i / 4, 0, step, op)));
		if (!fours) u.x = u[i % 4];
		SET4(y, i, mix(GET4(x, i) / (1 - p), vec4(0), lessThan(u, vec4(p))))
	}
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
