// SoftsignGrad is the gradient of Softsign.
//
//	dx[i] = dy[i] / (1 + |x[i]|)²
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, dx) // [n]
IN(1, T, dy)  // [n]
IN(2, T, x)   // [n]

void elements(bool fours) {
	EACH4(i) {
		vec4 d = 1 + abs(GET4(x, i));
		SET4(dx, i, GET4(dy, i) / (d * d))
	}
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
