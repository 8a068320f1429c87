// CrossEntropyGrad is the gradient of CrossEntropy.
//
//	dlogits[r,j] = (exp(logits[r,j] - lse[r]) - (j == labels[r] ? 1 : 0)) * scale * dloss[0]
//
// Without dloss it is 1. A row with label -100 gets 0, one with any other label outside 0 to vocab-1 NaN.
//
//grid rows*vocab/group
//tile group=64

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

void main() {
	uint at = invocation(), row = at / vocab;
	if (at >= rows * vocab) return;
	int label = labels(row);
	float g = 0;
	if (label != IGNORED && (label < 0 || label >= int(vocab))) {
		g = NAN;
	} else if (label != IGNORED) {
		float p = exp(logits(at) - lse(row));
		if (at % vocab == uint(label)) p -= 1;
		g = p * (has_dloss ? scale * dloss(0) : scale);
	}
	set_dlogits(at, g);
}
