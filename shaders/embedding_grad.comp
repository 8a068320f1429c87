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

shared uint hits, hit[gl_WorkGroupSize.x];

// A workgroup a row of the table. It looks at one id an invocation, then adds the rows found.
void main() {
	uint v = group_index(), i = gl_LocalInvocationIndex;
	if (v >= vocab) return;
	if (!acc)
		for (uint j = i; j < dim; j += group) set_dtable(v * dim + j, 0);
	for (uint first = 0; first < rows; first += group) {
		barrier();
		if (i == 0) hits = 0;
		barrier();
		hit[i] = first + i < rows && ids(first + i) == int(v) ? 1 : 0;
		if (hit[i] == 1) atomicAdd(hits, 1);
		barrier();
		if (hits == 0) continue;
		for (uint j = i; j < dim; j += group) {
			float s = dtable(v * dim + j);
			for (uint r = 0; r < group; r++)
				if (hit[r] == 1) s += dy((first + r) * dim + j);
			set_dtable(v * dim + j, s);
		}
	}
}
