// LogSoftmaxGrad is the gradient of LogSoftmax.
//
//	dx[r,j] = dy[r,j] - exp(y[r,j]) * sum over j of dy[r,j]
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, dx) // [rows, dim]
IN(1, T, dy)  // [rows, dim]
IN(2, T, y)   // [rows, dim]: LogSoftmax's output

// A workgroup a row.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, at = row * dim;
	if (row >= rows) return;
	float total = 0;
	for (uint j = i; j < dim; j += group) total += dy(at + j);
	total = group_sum(total);
	for (uint j = i; j < dim; j += group) set_dx(at + j, dy(at + j) - exp(y(at + j)) * total);
}
