// Clamp keeps every element between two bounds. NaN stays NaN.
//
//	y[i] = min(max(x[i], low), high)
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;     // elements
	float low;  // the smallest result
	float high; // the largest, not below low
)
OUT(0, T, y) // [n]
IN(1, T, x)  // [n]

void main() {
	uint i = invocation();
	if (i >= n) return;
	float f = x(i);
	set_y(i, is_nan(f) ? f : f < low ? low : f > high ? high : f);
}
