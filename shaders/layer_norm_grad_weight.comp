// LayerNormGradWeight is the gradient of LayerNorm with respect to its weight and its bias.
//
//	dw[j] (+)= sum over r of dy[r,j] * (x[r,j] - mean[r]) * rstd[r]
//	db[j] (+)= sum over r of dy[r,j]
//
//grid dim/cols
//tile group=256 cols=32

#include "include/kernel.glsl"
#include "include/each.glsl"
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

void columns(bool fours) {
	uint j = COLUMN4;
	vec4 weight = vec4(0), bias = vec4(0);
	if (j < dim) DOWN4(r, rows) {
		vec4 d = GET4(dy, r * dim + j);
		if (has_dw) weight = fma(d * (GET4(x, r * dim + j) - mean(r)), vec4(rstd(r)), weight);
		bias += d;
	}
	weight = COLUMN_SUM4(weight);
	bias = COLUMN_SUM4(bias);
	if (j >= dim || gl_LocalInvocationIndex >= LINE4) return;
	if (has_dw) {
		if (acc) weight += GET4(dw, j);
		SET4(dw, j, weight)
	}
	if (has_db) {
		if (acc) bias += GET4(db, j);
		SET4(db, j, bias)
	}
}

// A workgroup has cols elements of dw and db, each in slices of the rows.
void main() {
	if (COLUMNS_IN_FOURS(dim)) columns(true);
	else columns(false);
}
