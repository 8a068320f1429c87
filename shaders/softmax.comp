// Softmax makes every row positive with sum one.
//
//	y[r,j] = exp(x[r,j] - max_j x[r,j]) / sum over j of the same
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/reduce.glsl"
#include "include/exponentials.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, y) // [rows, dim]
IN(1, T, x)  // [rows, dim]

void exponentials(bool fours, uint at) {
	ROW4(j) if (fours) add_exp4(x_four(at + j)); else add_exp(x(at + j));
}

void quotients(bool fours, uint at, float share) {
	ROW4(j) SET4(y, at + j, exp(GET4(x, at + j) - largest) * share)
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS;
	if (fours) exponentials(true, at);
	else exponentials(false, at);
	join_exp();
	if (fours) quotients(true, at, 1 / sum);
	else quotients(false, at, 1 / sum);
}
