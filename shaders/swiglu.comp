// SwiGLU is the gated unit of LLaMA's feed-forward layer.
//
//	y[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x))
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/activation.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, y)   // [n]
IN(1, T, gate) // [n]
IN(2, T, up)   // [n]

void elements(bool fours) {
	EACH4(i) {
		vec4 f = GET4(gate, i);
		[[unroll]] for (uint j = 0; j < 4; j++) f[j] = silu(f[j]);
		SET4(y, i, f * GET4(up, i))
	}
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
