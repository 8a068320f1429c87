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
IN(3, U, w)         // [dim]

float squares(bool fours, uint at) {
	float sum = 0;
	ROW4(j) {
		vec4 f = GET4(x, at + j);
		sum += dot(f, f);
	}
	return sum;
}

void normalize(bool fours, uint at, float r) {
	ROW4(j) SET4(y, at + j, GET4(x, at + j) * r * GET4(w, j))
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS;
	float sum = group_sum(fours ? squares(true, at) : squares(false, at)), r = 1 / sqrt(sum / float(dim) + eps);
	if (has_rstd && gl_LocalInvocationIndex == 0) set_rstd(row, r);
	if (fours) normalize(true, at, r);
	else normalize(false, at, r);
}
