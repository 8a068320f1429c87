// PowGrad is the gradient of Pow.
//
//	dx[i] = dy[i] * exponent * x[i]^(exponent-1), 0 where exponent is 0
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
OUT(0, T, dx) // [n]
IN(1, T, dy)  // [n]
IN(2, T, x)   // [n]

void main() {
	uint i = invocation();
	if (i < n) set_dx(i, exponent == 0 ? 0 : dy(i) * exponent * power(x(i), exponent - 1));
}
