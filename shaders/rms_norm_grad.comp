// RMSNormGrad is the gradient of RMSNorm with respect to its input.
//
//	dx[r,j] = rstd[r] * (dy[r,j]*w[j] - n[r,j] * mean over j of dy[r,j]*w[j]*n[r,j]), n = x*rstd
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
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
	uint row = group_index(), i = gl_LocalInvocationIndex, at = row * dim;
	if (row >= rows) return;
	float s = rstd(row), sum = 0;
	for (uint j = i; j < dim; j += group) sum = fma(dy(at + j) * w(j), x(at + j), sum);
	float m = group_sum(sum) * s / float(dim);
	for (uint j = i; j < dim; j += group) set_dx(at + j, s * (dy(at + j) * w(j) - x(at + j) * s * m));
}
