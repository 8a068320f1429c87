// SwiGLU is the gated unit of LLaMA's feed-forward layer.
//
//	y[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x))
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, y)   // [n]
IN(1, T, gate) // [n]
IN(2, T, up)   // [n]
