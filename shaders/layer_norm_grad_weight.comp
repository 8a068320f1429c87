// LayerNormGradWeight is the gradient of LayerNorm with respect to its weight and its bias.
//
//	dw[j] (+)= sum over r of dy[r,j] * (x[r,j] - mean[r]) * rstd[r]
//	db[j] (+)= sum over r of dy[r,j]
//
//grid dim/cols
//tile group=256 cols=32

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
CONST(0, bool, acc) // add to dw and db instead of replacing them
OPT_INOUT(0, S, dw) // [dim]
OPT_INOUT(1, S, db) // [dim]
IN(2, T, dy)        // [rows, dim]
IN(3, T, x)         // [rows, dim]
IN(4, S, mean)      // [rows]: from LayerNorm
IN(5, S, rstd)      // [rows]: from LayerNorm

// A workgroup has cols elements of dw and db, each in group/cols slices of the rows.
void main() {
	uint i = gl_LocalInvocationIndex, j = group_index() * cols + i % cols, slices = group / cols;
	bool inside = j < dim && i < slices * cols;
	float weight = 0, bias = 0;
	if (inside)
		for (uint r = i / cols; r < rows; r += slices) {
			float d = dy(r * dim + j);
			if (has_dw) weight = fma(d * (x(r * dim + j) - mean(r)), rstd(r), weight);
			bias += d;
		}
	weight = column_sum(weight, cols);
	bias = column_sum(bias, cols);
	if (!inside || i >= cols) return;
	if (has_dw) set_dw(j, acc ? dw(j) + weight : weight);
	if (has_db) set_db(j, acc ? db(j) + bias : bias);
}
