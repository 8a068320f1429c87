// Permute copies x with its dimensions in another order. Six dimensions, the leading ones of smaller tensors 1.
//
//	y[i0,i1,i2,i3,i4,i5] = x[i0*s0 + i1*s1 + i2*s2 + i3*s3 + i4*s4 + i5*s5]
//
//grid d0*d1*d2*d3*d4*d5/group
//tile group=64

#include "include/kernel.glsl"

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

void main() {
	uint i = invocation();
	if (i >= d0 * d1 * d2 * d3 * d4 * d5) return;
	uint r = i / d5, from = i % d5 * s5;
	from += r % d4 * s4, r /= d4;
	from += r % d3 * s3, r /= d3;
	from += r % d2 * s2, r /= d2;
	from += r % d1 * s1, r /= d1;
	set_y(i, x(from + r * s0));
}
