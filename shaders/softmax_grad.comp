// SoftmaxGrad is the gradient of Softmax.
//
//	dx[r,j] = y[r,j] * (dy[r,j] - sum over j of dy[r,j]*y[r,j])
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/each.glsl"
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
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	float product = 0;
	ROW4(j) product += dot(dy_some(at + j, dim - j), y_some(at + j, dim - j));
	product = group_sum(product);
	ROW4(j) set_dx_some(at + j, dim - j, y_some(at + j, dim - j) * (dy_some(at + j, dim - j) - product));
}
