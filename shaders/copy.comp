// Copy copies a rectangle between two tensors of any row length; the rest of y stays. Concat and Slice are copies.
//
//	y[y_offset + r*y_stride + c] = x[x_offset + r*x_stride + c]
//
//grid rows*cols/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint rows;     // rows to copy
	uint cols;     // elements of each
	uint x_stride; // elements from one row of x to the next
	uint x_offset; // first element in x
	uint y_stride; // elements from one row of y to the next
	uint y_offset; // first element in y
)
INOUT(0, T, y) // [*]
IN(1, T, x)    // [*]

void elements(bool fours) {
	uint n = rows * cols;
	EACH4(i) {
		uint r = i / cols, c = i % cols;
		uint from = x_offset + r * x_stride + c, to = y_offset + r * y_stride + c;
		if (fours) set_y_bits_four(to, x_bits_four(from));
		else set_y_bits(to, x_bits(from));
	}
}

void main() {
	uint n = rows * cols, low = cols | x_stride | x_offset | y_stride | y_offset;
	if (EACH_IN_FOURS && low % 4 == 0) elements(true);
	else elements(false);
}
