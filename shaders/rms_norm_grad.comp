// RMSNormGrad is the gradient of RMSNorm with respect to its input.
//
//	dx[r,j] = rstd[r] * (dy[r,j]*w[j] - n[r,j] * mean over j of dy[r,j]*w[j]*n[r,j]), n = x*rstd
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
OUT(0, T, dx)  // [rows, dim]
IN(1, T, dy)   // [rows, dim]
IN(2, T, x)    // [rows, dim]
IN(3, W, w)    // [dim]
IN(4, S, rstd) // [rows]: from RMSNorm

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	float s = rstd(row), sum = 0;
	ROW4(j) sum += dot(dy_some(at + j, dim - j) * w_some(j, dim - j), x_some(at + j, dim - j));
	float m = group_sum(sum) * s / float(dim);
	ROW4(j) {
		vec4 g = dy_some(at + j, dim - j) * w_some(j, dim - j);
		set_dx_some(at + j, dim - j, s * (g - x_some(at + j, dim - j) * s * m));
	}
}
