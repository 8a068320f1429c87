// CrossEntropy is the negative log likelihood of each row's label.
//
//	loss[r] = lse[r] - logits[r,labels[r]], lse[r] = log of the sum over j of exp(logits[r,j])
//
// A row with label -100 is ignored: its loss is 0. Any other label outside 0 to vocab-1 gives NaN.
//
//grid rows
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows;  // rows
	uint vocab; // classes
)
OUT(0, S, loss)  // [rows]
OUT(1, S, lse)   // [rows]: kept for the gradient
IN(2, T, logits) // [rows, vocab]
IN(3, I, labels) // [rows]
