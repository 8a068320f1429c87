// ClipFactor turns partial sums of squares into the factor that clips a gradient's norm.
//
//	norm = sqrt(sum of partial); factor = max_norm == 0 ? 1 : min(1, max_norm / (norm + 1e-6))
//	factor = NaN where norm is NaN or infinite, whatever max_norm: AdamW and SGD then do nothing
//
//grid 1
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;         // partial sums
	float max_norm; // the norm to clip at, 0 = never
)
OUT(0, S, factor) // [1]
OUT(1, S, norm)   // [1]
IN(2, S, partial) // [n]: from SumSquares
