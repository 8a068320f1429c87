// LayerNormGrad is the gradient of LayerNorm with respect to its input.
//
//	dx[r,j] = rstd[r] * (g[r,j] - mean over j of g[r,j] - n[r,j] * mean over j of g[r,j]*n[r,j]),
//	g = dy*w, n = (x - mean)*rstd
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
OUT(0, T, dx)   // [rows, dim]
IN(1, T, dy)    // [rows, dim]
IN(2, T, x)     // [rows, dim]
OPT_IN(3, W, w) // [dim]
IN(4, S, mean)  // [rows]: from LayerNorm
IN(5, S, rstd)  // [rows]: from LayerNorm

// dy*w.
#define G4(j) (has_w ? GET4(dy, at + j) * GET4(w, j) : GET4(dy, at + j))

// The sums of g (x) and of g*n (y).
vec2 products(bool fours, uint at, float m, float s) {
	vec2 sums = vec2(0);
	ROW4(j) {
		vec4 g = G4(j);
		sums += vec2(dot(g, vec4(1)), dot(g, (GET4(x, at + j) - m) * s));
	}
	return sums;
}

void gradient(bool fours, uint at, float m, float s, float mean_g, float mean_gn) {
	ROW4(j) SET4(dx, at + j, s * (G4(j) - mean_g - (GET4(x, at + j) - m) * s * mean_gn))
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS;
	float m = mean(row), s = rstd(row);
	vec2 sums = fours ? products(true, at, m, s) : products(false, at, m, s);
	float mean_g = group_sum(sums.x) / float(dim), mean_gn = group_sum(sums.y) / float(dim);
	if (fours) gradient(true, at, m, s, mean_g, mean_gn);
	else gradient(false, at, m, s, mean_g, mean_gn);
}
