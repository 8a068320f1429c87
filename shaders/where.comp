// Where chooses between two tensors, each repeated along the leading dimensions of the result.
//
//	y[i] = a[i % ma] if mask[i % mm] != 0, else b[i % mb]; 0 where the one that is chosen is nil
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;  // elements of y
	uint mm; // elements of mask, a divisor of n
	uint ma; // elements of a, a divisor of n
	uint mb; // elements of b, a divisor of n
)
OUT(0, T, y)    // [n]
IN(1, I, mask)  // [mm]
OPT_IN(2, T, a) // [ma]
OPT_IN(3, T, b) // [mb]

void main() {
	uint i = invocation();
	if (i >= n) return;
	float f = 0;
	if (mask(i % mm) != 0) {
		if (has_a) f = a(i % ma);
	} else if (has_b) {
		f = b(i % mb);
	}
	set_y(i, f);
}
