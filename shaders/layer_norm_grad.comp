// LayerNormGrad is the gradient of LayerNorm with respect to its input.
//
//	dx[r,j] = rstd[r] * (g[r,j] - mean over j of g[r,j] - n[r,j] * mean over j of g[r,j]*n[r,j]),
//	g = dy*w, n = (x - mean)*rstd
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, dx)   // [rows, dim]
IN(1, T, dy)    // [rows, dim]
IN(2, T, x)     // [rows, dim]
OPT_IN(3, W, w) // [dim]
IN(4, S, mean)  // [rows]: from LayerNorm
IN(5, S, rstd)  // [rows]: from LayerNorm

// A workgroup a row.
void main() {
	uint row = group_index(), i = gl_LocalInvocationIndex, at = row * dim;
	if (row >= rows) return;
	float m = mean(row), s = rstd(row), sum_g = 0, sum_gn = 0;
	for (uint j = i; j < dim; j += group) {
		float g = has_w ? dy(at + j) * w(j) : dy(at + j);
		sum_g += g;
		sum_gn = fma(g, (x(at + j) - m) * s, sum_gn);
	}
	float mean_g = group_sum(sum_g) / float(dim), mean_gn = group_sum(sum_gn) / float(dim);
	for (uint j = i; j < dim; j += group) {
		float g = has_w ? dy(at + j) * w(j) : dy(at + j);
		set_dx(at + j, s * (g - mean_g - (x(at + j) - m) * s * mean_gn));
	}
}
