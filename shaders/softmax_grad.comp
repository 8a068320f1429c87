// SoftmaxGrad is the gradient of Softmax.
//
//	dx[r,j] = y[r,j] * (dy[r,j] - sum over j of dy[r,j]*y[r,j])
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
IN(2, T, y)   // [rows, dim]: Softmax's output

// A workgroup a row.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, at = row * dim;
	if (row >= rows) return;
	float product = 0;
	for (uint j = i; j < dim; j += group) product = fma(dy(at + j), y(at + j), product);
	product = group_sum(product);
	for (uint j = i; j < dim; j += group) set_dx(at + j, y(at + j) * (dy(at + j) - product));
}
