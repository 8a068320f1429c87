// Pow raises every element to one power.
//
//	y[i] = x[i]^exponent
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"
#include "include/activation.glsl"
#include "include/power.glsl"

PUSH(
	uint n;         // elements
	float exponent; // the power
)
OUT(0, T, y) // [n]
IN(1, T, x)  // [n]

void main() {
	uint i = invocation();
	if (i < n) set_y(i, power(x(i), exponent));
}
