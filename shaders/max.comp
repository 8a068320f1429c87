// Max takes the first maximum along one dimension, and its index. A NaN is larger than any number.
//
//	y[o,i] = max over k of x[o,k,i]; index[o,i] = the smallest such k
//
//grid outer*inner/group
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
