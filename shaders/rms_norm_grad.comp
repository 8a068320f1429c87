// RMSNormGrad is the gradient of RMSNorm with respect to its input, plus what other ways gave that.
//
//	dx[r,j] = plus[r,j] + rstd[r] * (dy[r,j]*w[j] - n[r,j] * mean over j of dy[r,j]*w[j]*n[r,j]), n = x*rstd
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
OUT(0, T, dx)      // [rows, dim]
IN(1, T, dy)       // [rows, dim]
IN(2, T, x)        // [rows, dim]
IN(3, U, w)        // [dim]
IN(4, S, rstd)     // [rows]: from RMSNorm
OPT_IN(5, T, plus) // [rows, dim]

float products(bool fours, uint at) {
	float sum = 0;
	ROW4(j) sum += dot(GET4(dy, at + j) * GET4(w, j), GET4(x, at + j));
	return sum;
}

// m is the mean of dy[r,j]*w[j]*n[r,j].
void gradient(bool fours, uint at, float s, float m) {
	ROW4(j) {
		vec4 d = s * (GET4(dy, at + j) * GET4(w, j) - GET4(x, at + j) * s * m);
		if (has_plus) d += GET4(plus, at + j);
		SET4(dx, at + j, d)
	}
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS;
	float s = rstd(row), m = group_sum(fours ? products(true, at) : products(false, at)) * s / float(dim);
	if (fours) gradient(true, at, s, m);
	else gradient(false, at, s, m);
}
