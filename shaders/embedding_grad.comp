// EmbeddingGrad is the gradient of Embedding with respect to its table. Ids outside are skipped.
//
//	dtable[v,j] (+)= sum over the r with ids[r] == v of dy[r,j], in the order of r
//
//grid vocab
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows;  // ids
	uint dim;   // elements of a row of the table
	uint vocab; // rows of the table
)
CONST(0, bool, acc) // add to dtable instead of replacing it
INOUT(0, S, dtable) // [vocab, dim]
IN(1, T, dy)        // [rows, dim]
IN(2, I, ids)       // [rows]
