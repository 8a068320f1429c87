// SwiGLUGrad is the gradient of SwiGLU.
//
//	dgate[i] = dy[i] * up[i] * silu'(gate[i]); dup[i] = dy[i] * silu(gate[i])
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/activation.glsl"

PUSH(
	uint n; // elements
)
OUT(0, T, dgate) // [n] may be gate
OUT(1, T, dup)   // [n] may be up
IN(2, T, dy)     // [n]
IN(3, T, gate)   // [n]
IN(4, T, up)     // [n]

void elements(bool fours) {
	EACH4(i) {
		vec4 g = GET4(gate, i), d = GET4(dy, i), du = d, dg = d * GET4(up, i);
		[[unroll]] for (uint j = 0; j < 4; j++) {
			du[j] *= silu(g[j]);
			dg[j] *= silu_grad(g[j]);
		}
		SET4(dgate, i, dg)
		SET4(dup, i, du)
	}
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
