// Permute copies x with its dimensions in another order. Six dimensions, the leading ones of smaller tensors 1.
//
//	y[i0,i1,i2,i3,i4,i5] = x[i0*s0 + i1*s1 + i2*s2 + i3*s3 + i4*s4 + i5*s5]
//
//grid d0*d1*d2*d3*d4*d5/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint d0; // dimensions of y
	uint d1;
	uint d2;
	uint d3;
	uint d4;
	uint d5;
	uint s0; // for each, the distance in x between neighbors, in elements
	uint s1;
	uint s2;
	uint s3;
	uint s4;
	uint s5;
)
OUT(0, T, y) // [d0, d1, d2, d3, d4, d5]
IN(1, T, x)  // [*]: at least every element that the strides reach

// The place along a dimension of length d in element r of it and those before; r becomes that of those before.
uint place(inout uint r, uint d) {
	uint i = r;
	if (r < d) { // often, and without a division
		r = 0;
	} else {
		i = r % d;
		r /= d;
	}
	return i;
}

// Elements of y that are taken together are of one row, whose place in x is found once.
void elements(bool fours, uint n) {
	EACH4(i) {
		uint r = i, from = place(r, d5) * s5;
		from += place(r, d4) * s4;
		from += place(r, d3) * s3;
		from += place(r, d2) * s2;
		from += place(r, d1) * s1 + r * s0;
		if (!fours) set_y_bits(i, x_bits(from));
		else if (s5 == 1 && from % 4 == 0) set_y_bits_four(i, x_bits_four(from));
		else {
			uvec4 one_by_one = uvec4(x_bits(from), x_bits(from + s5), x_bits(from + 2 * s5), x_bits(from + 3 * s5));
			set_y_bits_four(i, bits_together(storage_T, one_by_one));
		}
	}
}

void main() {
	uint n = d0 * d1 * d2 * d3 * d4 * d5;
	if (are_aligned() && d5 % 4 == 0) elements(true, n);
	else elements(false, n);
}
