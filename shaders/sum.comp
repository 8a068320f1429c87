// Sum adds up one dimension.
//
//	y[o,i] (+)= scale * sum over k of x[o,k,i]
//
//grid outer*inner/cols
//tile group=256 cols=32

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/reduce.glsl"

PUSH(
	uint outer;  // product of the dimensions before
	uint n;      // the dimension that goes
	uint inner;  // product of the dimensions after
	float scale; // factor of every sum: 1/n makes it a mean
)
CONST(0, bool, acc) // add to y instead of replacing it
INOUT(0, T, y) // [outer, inner]
IN(1, U, x)    // [outer, n, inner]

float row_sum(bool fours, uint at) {
	float sum = 0;
	for (uint k = STEP4 * gl_LocalInvocationIndex; k < n; k += STEP4 * group) sum += dot(GET4(x, at + k), vec4(1));
	return sum;
}

void columns(bool fours) {
	uint at = COLUMN4, first = at / inner * n * inner + at % inner;
	vec4 sum = vec4(0);
	if (at < outer * inner) DOWN4(k, n) sum += GET4(x, first + k * inner);
	sum = scale * COLUMN_SUM4(sum);
	if (at >= outer * inner || gl_LocalInvocationIndex >= LINE4) return;
	if (acc) sum += GET4(y, at);
	SET4(y, at, sum)
}

// A workgroup has cols sums: rows that lie in one piece one after the other, or cols neighbors side by side, each in slices.
void main() {
	if (inner == 1) {
		bool fours = are_aligned() && n % 4 == 0;
		for (uint first = group_index() * cols, o = first; o < min(outer, first + cols); o++) {
			float sum = scale * group_sum(fours ? row_sum(true, o * n) : row_sum(false, o * n));
			if (gl_LocalInvocationIndex == 0) set_y(o, acc ? y(o) + sum : sum);
		}
	} else if (COLUMNS_IN_FOURS(inner)) {
		columns(true);
	} else {
		columns(false);
	}
}
