// RoPE rotates pairs of elements by angles that grow with the position; a pair is (j, j + dim/2).
//
//	y[r,h,j]         = x[r,h,j]*c - sign*x[r,h,j+dim/2]*s
//	y[r,h,j + dim/2] = x[r,h,j+dim/2]*c + sign*x[r,h,j]*s,
//	c = table[p,j], s = table[p,j+dim/2], p = positions[r], or r % seq without positions
//
// A position outside the table gives a row of NaN.
//
//grid rows*heads/group
//tile group=64

#include "include/kernel.glsl"

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

// A workgroup has as many heads as invocations; these go over their pairs side by side.
void main() {
	uint pairs = dim / 2, first = group_index() * group, n = min(group, rows * heads - min(first, rows * heads)) * pairs;
	for (uint i = gl_LocalInvocationIndex; i < n; i += group) {
		uint head = first + i / pairs, j = i % pairs, row = head / heads;
		int p = has_position ? position(row) : int(row % seq);
		float c = NAN, s = NAN;
		if (p >= 0 && p < int(positions)) {
			c = table(uint(p) * dim + j);
			s = table(uint(p) * dim + pairs + j) * sign;
		}
		uint at = head * dim + j;
		float x1 = x(at), x2 = x(at + pairs);
		set_y(at, x1 * c - x2 * s);
		set_y(at + pairs, x2 * c + x1 * s);
	}
}
