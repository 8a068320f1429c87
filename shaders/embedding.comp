// Embedding looks up rows of a table. An id outside gives a row of NaN.
//
//	y[r,j] = table[ids[r],j]
//
//grid rows
//tile group=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint rows;  // ids
	uint dim;   // elements of a row of the table
	uint vocab; // rows of the table
)
OUT(0, T, y)    // [rows, dim]
IN(1, W, table) // [vocab, dim]
IN(2, I, ids)   // [rows]

void look_up(bool fours, uint row) {
	uint id = uint(ids(row)); // a negative one is large
	ROW4(j) {
		vec4 f = vec4(NAN);
		if (id < vocab) f = GET4(table, id * dim + j);
		SET4(y, row * dim + j, f)
	}
}

// A workgroup a row.
void main() {
	uint row = group_index();
	if (row >= rows) return;
	if (ROW_IN_FOURS) look_up(true, row);
	else look_up(false, row);
}
