// RMSNormGradWeight is the gradient of RMSNorm with respect to its weight.
//
//	dw[j] (+)= sum over r of dy[r,j] * x[r,j] * rstd[r]
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
CONST(0, bool, acc) // add to dw instead of replacing it
INOUT(0, S, dw) // [dim]
IN(1, T, dy)    // [rows, dim]
IN(2, T, x)     // [rows, dim]
IN(3, S, rstd)  // [rows]: from RMSNorm

void columns(bool fours) {
	uint j = COLUMN4;
	vec4 sum = vec4(0);
	if (j < dim) DOWN4(r, rows) sum = fma(GET4(dy, r * dim + j) * GET4(x, r * dim + j), vec4(rstd(r)), sum);
	sum = COLUMN_SUM4(sum);
	if (j >= dim || gl_LocalInvocationIndex >= LINE4) return;
	if (acc) sum += GET4(dw, j);
	SET4(dw, j, sum)
}

// A workgroup has cols elements of dw, each in slices of the rows.
void main() {
	if (COLUMNS_IN_FOURS(dim)) columns(true);
	else columns(false);
}
