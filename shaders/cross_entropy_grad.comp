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

// A workgroup a row. Nothing is asked of an element: the row's label gets its own gradient from the invocation that has written
// over it, once the others are there.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, first = row * vocab;
	if (row >= rows) return;
	int label = labels(row);
	bool fours = vocab % 4 == 0 && IN_FOURS(0, T) && IN_FOURS(1, T);
	if (label == IGNORED) {
		float zero = float(label - IGNORED); // a constant would have 16 bits, which asks for more than storage of them
		if (fours) {
			for (uint j = 4 * i; j < vocab; j += 4 * group) set_dlogits_four(first + j, vec4(zero));
		} else {
			for (uint j = i; j < vocab; j += group) set_dlogits(first + j, zero);
		}
		return;
	}
	float l = lse(row), factor = has_dloss ? scale * dloss(0) : scale;
	bool inside = label >= 0 && label < int(vocab);
	if (!inside) factor = NAN;
	bool own = inside && i == uint(label) / (fours ? 4 : 1) % group;
	float of_label = own ? (exp(logits(first + uint(label)) - l) - 1) * factor : 0;
	if (fours) {
		for (uint j = 4 * i; j < vocab; j += 4 * group) set_dlogits_four(first + j, exp(logits_four(first + j) - l) * factor);
	} else {
		for (uint j = i; j < vocab; j += group) set_dlogits(first + j, exp(logits(first + j) - l) * factor);
	}
	if (own) set_dlogits(first + uint(label), of_label);
}
