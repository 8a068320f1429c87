// Col2Im adds the elements of Im2Col's matrix to where they come from: its gradient. Channels before
// first and past its count stay as they are.
//
//	x[image,first+c,h,w] = sum of the cols[r,q] that Im2Col takes from there, in the order of the window
//
//go Col2Im
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;          // elements of x that are written: images*count*height*width
	uint channels;   // of an image
	uint first;      // the channel to begin with
	uint count;      // channels that count from there
	uint height;     // of an image
	uint width;
	uint kernel_h;   // the window
	uint kernel_w;
	uint out_height; // positions of the window
	uint out_width;
	uint stride_h;   // from one position to the next
	uint stride_w;
	uint pad_h;      // zeros before the first row and column
	uint pad_w;
	uint step_h;     // between the elements of a window (dilation)
	uint step_w;
)
INOUT(0, T, x)  // [*]: images of channels*height*width
IN(1, T, cols)  // [*]: for every image and position a row of count*kernel_h*kernel_w

// An invocation an element of x, which looks at every element of a window: no two add to one.
void main() {
	uint i = invocation();
	if (i >= n) return;
	uint w = i % width, h = i / width % height, c = i / (width * height) % count, image = i / (width * height * count);
	float s = 0;
	for (uint a = 0; a < kernel_h; a++) {
		uint p = h + pad_h - a * step_h; // of the window's upper edge, times the stride; large before the edge
		if (p % stride_h != 0 || p / stride_h >= out_height) continue;
		for (uint b = 0; b < kernel_w; b++) {
			uint o = w + pad_w - b * step_w;
			if (o % stride_w != 0 || o / stride_w >= out_width) continue;
			uint row = (image * out_height + p / stride_h) * out_width + o / stride_w;
			s += cols(((row * count + c) * kernel_h + a) * kernel_w + b);
		}
	}
	set_x(((image * channels + first + c) * height + h) * width + w, s);
}
