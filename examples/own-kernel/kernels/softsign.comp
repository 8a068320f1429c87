// Softsign is a smooth step from -1 to 1.
//
//	y[i] = x[i] / (1 + |x[i]|)
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, y) // [n]
IN(1, T, x)  // [n]

void elements(bool fours) {
	EACH4(i) {
		vec4 f = GET4(x, i);
		SET4(y, i, f / (1 + abs(f)))
	}
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
