// LogSoftmax is the logarithm of Softmax, without its underflow.
//
//	y[r,j] = x[r,j] - log of the sum over j of exp(x[r,j])
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/activation.glsl"
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
	total = natural_log(group_sum(total));
	for (uint j = i; j < dim; j += group) set_y(at + j, x(at + j) - largest - total);
}
