// LayerNorm gives every row mean zero and variance one, then multiplies by w and adds b.
//
//	y[r,j] = (x[r,j] - mean[r]) * rstd[r] * w[j] + b[j], rstd[r] = 1 / sqrt(variance[r] + eps)
//
// The variance is the biased one (divided by dim). Without w it is 1, without b it is 0.
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/each.glsl"
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

float total(bool fours, uint at) {
	float sum = 0;
	ROW4(j) sum += dot(GET4(x, at + j), vec4(1));
	return sum;
}

// The sum of squares of the differences from m.
float squares(bool fours, uint at, float m) {
	float sum = 0;
	ROW4(j) {
		vec4 d = GET4(x, at + j) - m;
		sum += fours ? dot(d, d) : d.x * d.x;
	}
	return sum;
}

void normalize(bool fours, uint at, float m, float s) {
	ROW4(j) {
		vec4 f = (GET4(x, at + j) - m) * s;
		if (has_w) f *= GET4(w, j);
		if (has_b) f += GET4(b, j);
		SET4(y, at + j, f)
	}
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS, first = gl_LocalInvocationIndex == 0;
	float m = group_sum(fours ? total(true, at) : total(false, at)) / float(dim);
	float s = 1 / sqrt(group_sum(fours ? squares(true, at, m) : squares(false, at, m)) / float(dim) + eps);
	if (has_mean && first) set_mean(row, m);
	if (has_rstd && first) set_rstd(row, s);
	if (fours) normalize(true, at, m, s);
	else normalize(false, at, m, s);
}
