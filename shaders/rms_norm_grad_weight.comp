// RMSNormGradWeight is the gradient of RMSNorm with respect to its weight.
//
//	dw[j] (+)= sum over r of dy[r,j] * x[r,j] * rstd[r]
//
//grid dim/cols
//tile group=256 cols=32

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
CONST(0, bool, acc) // add to dw instead of replacing it
INOUT(0, S, dw) // [dim]
IN(1, T, dy)    // [rows, dim]
IN(2, T, x)     // [rows, dim]
IN(3, S, rstd)  // [rows]: from RMSNorm

// A workgroup has cols elements of dw, each in group/cols slices of the rows.
void main() {
	uint i = gl_LocalInvocationIndex, j = group_index() * cols + i % cols, slices = group / cols;
	bool inside = j < dim && i < slices * cols;
	float sum = 0;
	if (inside)
		for (uint r = i / cols; r < rows; r += slices) sum = fma(dy(r * dim + j) * x(r * dim + j), rstd(r), sum);
	sum = column_sum(sum, cols);
	if (inside && i < cols) set_dw(j, acc ? dw(j) + sum : sum);
}
