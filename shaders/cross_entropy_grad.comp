// CrossEntropyGrad is the gradient of CrossEntropy.
//
//	dlogits[r,j] = (exp(logits[r,j] - lse[r]) - (j == labels[r] ? 1 : 0)) * scale * dloss[0]
//
// Without dloss it is 1. A row with label -100 gets 0, one with any other label outside 0 to vocab-1 NaN.
//
//grid rows
//tile group=256

#include "include/kernel.glsl"

PUSH(
	uint rows;   // rows
	uint vocab;  // classes
	float scale; // factor of every row's loss: 1 / number of counted rows for a mean
)
OUT(0, T, dlogits)  // [rows, vocab] may be logits
IN(1, T, logits)    // [rows, vocab]
IN(2, I, labels)    // [rows]
IN(3, S, lse)       // [rows]: from CrossEntropy
OPT_IN(4, S, dloss) // [1]

const int IGNORED = -100;

// A workgroup a row.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, first = row * vocab;
	if (row >= rows) return;
	int label = labels(row);
	bool counted = label != IGNORED;
	float l = lse(row), factor = has_dloss ? scale * dloss(0) : scale;
	if (label < 0 || label >= int(vocab)) factor = NAN;
	if (vocab % 4 == 0 && IN_FOURS(0, T) && IN_FOURS(1, T)) {
		for (uint j = 4 * i; j < vocab; j += 4 * group) {
			vec4 p = exp(logits_four(first + j) - l) - vec4(equal(j + uvec4(0, 1, 2, 3), uvec4(label)));
			set_dlogits_four(first + j, counted ? p * factor : vec4(0));
		}
	} else {
		for (uint j = i; j < vocab; j += group) {
			float p = exp(logits(first + j) - l) - float(j == uint(label));
			set_dlogits(first + j, counted ? p * factor : 0);
		}
	}
}
