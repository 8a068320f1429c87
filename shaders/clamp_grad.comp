// ClampGrad is the gradient of Clamp, which at the bounds themselves passes.
//
//	dx[i] = dy[i] if low <= x[i] <= high, else 0
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;     // elements
	float low;  // as in Clamp
	float high; // as in Clamp
)
OUT(0, T, dx) // [n]
IN(1, T, dy)  // [n]
IN(2, T, x)   // [n]

void main() {
	uint i = invocation();
	if (i >= n) return;
	float f = x(i);
	set_dx(i, is_nan(f) || f >= low && f <= high ? dy(i) : 0);
}
