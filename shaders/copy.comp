// Copy copies a rectangle between two tensors of any row length; the rest of y stays. Concat and Slice are copies.
//
//	y[y_offset + r*y_stride + c] = x[x_offset + r*x_stride + c]
//
//grid rows*cols/group
//tile group=64

#include "include/kernel.glsl"

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

void main() {
	uint i = invocation();
	if (i >= rows * cols) return;
	uint r = i / cols, c = i % cols;
	set_y(y_offset + r * y_stride + c, x(x_offset + r * x_stride + c));
}
