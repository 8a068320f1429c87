// Cast converts between storage types, rounding to nearest even.
//
//	y[i] = x[i]
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, y) // [n]
IN(1, U, x)  // [n]

void elements(bool fours) {
	EACH4(i) SET4(y, i, GET4(x, i))
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
