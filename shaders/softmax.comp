// Softmax makes every row positive with sum one.
//
//	y[r,j] = exp(x[r,j] - max_j x[r,j]) / sum over j of the same
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, y) // [rows, dim]
IN(1, T, x)  // [rows, dim]

// A workgroup a row.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, at = row * dim;
	if (row >= rows) return;
	float largest = -INFINITY, total = 0;
	for (uint j = i; j < dim; j += group) largest = max(largest, x(at + j));
	largest = group_max(largest);
	for (uint j = i; j < dim; j += group) total += exp(x(at + j) - largest);
	total = group_sum(total);
	for (uint j = i; j < dim; j += group) set_y(at + j, exp(x(at + j) - largest) / total);
}
