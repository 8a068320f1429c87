// LoRAScale multiplies the columns of B by the scaling of their module: B stands side by side for all modules.
//
//	bs[o,j] = alpha * s_i(o) * b[o,j], i = j / (rank/modules)
//
//grid out_*rank/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint out_;    // rows of b: the layer's outputs
	uint rank;    // columns of b: the rank of all modules together, a multiple of modules
	uint modules; // modules
	float alpha;  // factor of everything
)
CONST(0, bool, per_output) // s has a number for each module and output
OUT(0, S, bs) // [out_, rank]
IN(1, S, b)   // [out_, rank]
IN(2, S, s)   // [*]: [modules], or [modules, out] if per_output

// With fours, four elements are of one module.
void elements(bool fours) {
	uint n = out_ * rank, columns = rank / modules;
	EACH4(at) {
		uint o = at / rank, i = at % rank / columns;
		SET4(bs, at, alpha * s(per_output ? i * out_ + o : i) * GET4(b, at))
	}
}

void main() {
	uint n = out_ * rank;
	if (EACH_IN_FOURS && rank / modules % 4 == 0) elements(true);
	else elements(false);
}
