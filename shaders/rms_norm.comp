// RMSNorm divides every row by its root mean square, then multiplies by a weight for each element.
//
//	y[r,j] = x[r,j] * rstd[r] * w[j], rstd[r] = 1 / sqrt(mean over j of x[r,j]^2 + eps)
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/each.glsl"
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
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	float squares = 0;
	ROW4(j) {
		vec4 f = x_some(at + j, dim - j);
		squares += dot(f, f);
	}
	float r = 1 / sqrt(group_sum(squares) / float(dim) + eps);
	if (has_rstd && gl_LocalInvocationIndex == 0) set_rstd(row, r);
	ROW4(j) set_y_some(at + j, dim - j, x_some(at + j, dim - j) * r * w_some(j, dim - j));
}
