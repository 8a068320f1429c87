// SumSquares adds up the squares of every block of elements. Blocks are cut by shape, never by the number of workers.
//
//	partial[k] = sum of x[i]^2 over k*block <= i < min(n, (k+1)*block)
//
//grid n/block
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;     // elements
	uint block; // elements of a block
)
OUT(0, S, partial) // [n/block]
IN(1, T, x)        // [n]
