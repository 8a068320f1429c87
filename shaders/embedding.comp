// Embedding looks up rows of a table. An id outside gives a row of NaN.
//
//	y[r,j] = table[ids[r],j]
//
//grid rows*dim/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint rows;  // ids
	uint dim;   // elements of a row of the table
	uint vocab; // rows of the table
)
OUT(0, T, y)    // [rows, dim]
IN(1, W, table) // [vocab, dim]
IN(2, I, ids)   // [rows]

void main() {
	uint i = invocation();
	if (i >= rows * dim) return;
	uint id = uint(ids(i / dim)); // a negative one is large
	set_y(i, id < vocab ? table(id * dim + i % dim) : NAN);
}
