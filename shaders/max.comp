// Max takes the first maximum along one dimension, and its index. A NaN is larger than any number.
//
//	y[o,i] = max over k of x[o,k,i]; index[o,i] = the smallest such k
//
//grid outer*inner
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint outer; // product of the dimensions before
	uint n;     // the dimension that goes
	uint inner; // product of the dimensions after
)
OPT_OUT(0, T, y)     // [outer, inner]: the maxima
OPT_OUT(1, I, index) // [outer, inner]: where they stand, 0 to n-1
IN(2, T, x)          // [outer, n, inner]

// Whether element a at place i stands before element b at place j.
bool better(float a, uint i, float b, uint j) {
	if (is_nan(a) || is_nan(b)) return is_nan(a) && (!is_nan(b) || i < j);
	return a > b || a == b && i < j;
}

shared float values[gl_WorkGroupSize.x];
shared uint places[gl_WorkGroupSize.x];

// A workgroup a maximum.
void main() {
	uint r = group_index(), i = gl_LocalInvocationIndex;
	if (r >= outer * inner) return;
	float best = -INFINITY;
	uint place = n; // none yet
	for (uint k = i; k < n; k += group) {
		float f = x((r / inner * n + k) * inner + r % inner);
		if (better(f, k, best, place)) best = f, place = k;
	}
	values[i] = best, places[i] = place;
	barrier();
	for (uint m = group; m > 1;) {
		uint half_m = (m + 1) / 2, j = i + half_m;
		if (j < m && better(values[j], places[j], values[i], places[i])) values[i] = values[j], places[i] = places[j];
		barrier();
		m = half_m;
	}
	if (i > 0) return;
	if (has_y) set_y(r, values[0]);
	if (has_index) set_index(r, int(places[0]));
}
