// ClipFactor turns partial sums of squares into the factor that clips a gradient's norm.
//
//	norm = sqrt(sum of partial); factor = max_norm == 0 ? 1 : min(1, max_norm / (norm + 1e-6))
//	factor = NaN where norm is NaN or infinite, whatever max_norm: AdamW and SGD then do nothing
//
//grid 1
//tile group=256

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint n;         // partial sums
	float max_norm; // the norm to clip at, 0 = never
)
OUT(0, S, factor) // [1]
OUT(1, S, norm)   // [1]
IN(2, S, partial) // [n]: from SumSquares

void main() {
	uint i = gl_LocalInvocationIndex;
	if (group_index() > 0) return;
	float s = 0;
	for (uint k = i; k < n; k += group) s += partial(k);
	s = sqrt(group_sum(s));
	if (i > 0) return;
	set_norm(0, s);
	set_factor(0, !is_finite(s) ? NAN : max_norm == 0 ? 1 : min(1, max_norm / (s + 1e-6)));
}
