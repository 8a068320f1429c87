// LayerNorm gives every row mean zero and variance one, then multiplies by w and adds b.
//
//	y[r,j] = (x[r,j] - mean[r]) * rstd[r] * w[j] + b[j], rstd[r] = 1 / sqrt(variance[r] + eps)
//
// The variance is the biased one (divided by dim). Without w it is 1, without b it is 0.
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
	float eps; // added to the variance
)
OUT(0, T, y)        // [rows, dim]
OPT_OUT(1, S, mean) // [rows]: kept for the gradients
OPT_OUT(2, S, rstd) // [rows]: kept for the gradients
IN(3, T, x)         // [rows, dim]
OPT_IN(4, W, w)     // [dim]
OPT_IN(5, W, b)     // [dim]

// A workgroup a row.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, at = row * dim;
	if (row >= rows) return;
	float sum = 0, squares = 0;
	for (uint j = i; j < dim; j += group) sum += x(at + j);
	float m = group_sum(sum) / float(dim);
	for (uint j = i; j < dim; j += group) {
		float d = x(at + j) - m;
		squares = fma(d, d, squares);
	}
	float s = 1 / sqrt(group_sum(squares) / float(dim) + eps);
	if (has_mean && i == 0) set_mean(row, m);
	if (has_rstd && i == 0) set_rstd(row, s);
	for (uint j = i; j < dim; j += group) {
		float f = (x(at + j) - m) * s;
		if (has_w) f *= w(j);
		if (has_b) f += b(j);
		set_y(at + j, f);
	}
}
