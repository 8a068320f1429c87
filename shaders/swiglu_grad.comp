// SwiGLUGrad is the gradient of SwiGLU.
//
//	dgate[i] = dy[i] * up[i] * silu'(gate[i]); dup[i] = dy[i] * silu(gate[i])
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, dgate) // [n] may be gate
OUT(1, T, dup)   // [n] may be up
IN(2, T, dy)     // [n]
IN(3, T, gate)   // [n]
IN(4, T, up)     // [n]
