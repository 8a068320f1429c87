// RMSNorm divides every row by its root mean square, then multiplies by a weight for each element.
//
//	y[r,j] = x[r,j] * rstd[r] * w[j], rstd[r] = 1 / sqrt(mean over j of x[r,j]^2 + eps)
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
	float eps; // added to the mean square
)
OUT(0, T, y)        // [rows, dim]
OPT_OUT(1, S, rstd) // [rows]: kept for the gradients
IN(2, T, x)         // [rows, dim]
IN(3, W, w)         // [dim]

// A workgroup a row.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex;
	if (row >= rows) return;
	float squares = 0;
	for (uint j = i; j < dim; j += group) squares = fma(x(row * dim + j), x(row * dim + j), squares);
	float r = 1 / sqrt(group_sum(squares) / float(dim) + eps);
	if (has_rstd && i == 0) set_rstd(row, r);
	for (uint j = i; j < dim; j += group) set_y(row * dim + j, x(row * dim + j) * r * w(j));
}
