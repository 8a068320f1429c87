// Fill sets every element to one value.
//
//	y[i] = value
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint n;      // elements
	float value; // what they become
)
OUT(0, T, y) // [n]

void elements(bool fours) {
	EACH4(i) SET4(y, i, vec4(value))
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
