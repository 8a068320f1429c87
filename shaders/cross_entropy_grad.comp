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
