// CrossEntropy is the negative log likelihood of each row's label.
//
//	loss[r] = lse[r] - logits[r,labels[r]], lse[r] = log of the sum over j of exp(logits[r,j])
//
// A row with label -100 is ignored: its loss is 0. Any other label outside 0 to vocab-1 gives NaN.
//
//grid rows
//tile group=256

#include "include/kernel.glsl"
#include "include/reduce.glsl"
#include "include/exponentials.glsl"

PUSH(
	uint rows;  // rows
	uint vocab; // classes
)
OUT(0, S, loss)  // [rows]
OUT(1, S, lse)   // [rows]: kept for the gradient
IN(2, T, logits) // [rows, vocab]
IN(3, I, labels) // [rows]

const int IGNORED = -100;

// A workgroup a row, which it reads once.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, first = row * vocab;
	if (row >= rows) return;
	if (vocab % 4 == 0 && IN_FOURS(2, T)) {
		for (uint j = 4 * i; j < vocab; j += 4 * group) add_exp4(logits_four(first + j));
	} else {
		for (uint j = i; j < vocab; j += group) add_exp(logits(first + j));
	}
	join_exp();
	if (i > 0) return;
	float l = sum > 0 ? largest + log(sum) : NAN, nll = NAN; // 0: all are -infinity
	int label = labels(row);
	if (label == IGNORED) nll = 0;
	else if (label >= 0 && label < int(vocab)) nll = l - logits(first + uint(label));
	set_lse(row, l);
	set_loss(row, nll);
}
