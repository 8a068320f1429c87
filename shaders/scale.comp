// Scale multiplies by a number and adds another.
//
//	y[i] = alpha * x[i] + beta
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint n;      // elements
	float alpha; // factor
	float beta;  // summand
)
OUT(0, T, y) // [n] may be x
IN(1, T, x)  // [n]

void elements(bool fours) {
	EACH4(i) SET4(y, i, alpha * GET4(x, i) + beta)
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
