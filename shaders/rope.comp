// RoPE rotates pairs of elements by angles that grow with the position; a pair is (j, j + dim/2).
//
//	y[r,h,j]         = x[r,h,j]*c - sign*x[r,h,j+dim/2]*s
//	y[r,h,j + dim/2] = x[r,h,j+dim/2]*c + sign*x[r,h,j]*s,
//	c = table[p,j], s = table[p,j+dim/2], p = positions[r], or r % seq without positions
//
// A position outside the table gives a row of NaN.
//
//grid rows*heads/block
//tile group=64 block=8

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint rows;      // tokens: batch times sequence
	uint seq;       // tokens of a sequence, for rows without positions
	uint heads;     // heads of a token
	uint dim;       // elements of a head, even
	uint positions; // rows of the table
	float sign;     // 1, or -1 for the gradient
)
OUT(0, T, y)           // [rows, heads, dim] may be x
IN(1, T, x)            // [rows, heads, dim]
IN(2, S, table)        // [positions, dim]: the cosines of dim/2 angles, then their sines
OPT_IN(3, I, position) // [rows]

// A workgroup has a block of heads, whose pairs its invocations go over side by side.
void rotate(bool fours) {
	uint pairs = dim / 2, steps = pairs / STEP4, first = group_index() * block, all = rows * heads;
	uint n = min(block, all - min(first, all)) * steps;
	for (uint i = gl_LocalInvocationIndex; i < n; i += group) {
		uint head = first + i / steps, j = i % steps * STEP4, at = head * dim + j, row = head / heads;
		vec4 x1 = GET4(x, at), x2 = GET4(x, at + pairs), c = vec4(NAN), s = vec4(NAN);
		int p = has_position ? position(row) : int(row % seq);
		if (p >= 0 && p < int(positions)) {
			c = GET4(table, uint(p) * dim + j);
			s = GET4(table, uint(p) * dim + pairs + j) * sign;
		}
		SET4(y, at, x1 * c - x2 * s)
		SET4(y, at + pairs, x2 * c + x1 * s)
	}
}

void main() {
	if (are_aligned() && dim % 8 == 0) rotate(true);
	else rotate(false);
}
