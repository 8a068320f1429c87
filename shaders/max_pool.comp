// MaxPool takes the first largest element that a window sees at each of its positions, and where it
// stands. A NaN is larger than any number. Every window sees an element of the plane.
//
//	y[n,p,o] = max over the window's h, w inside of x[n,h,w]; index[n,p,o] = h*width + w of it
//
//grid planes*out_height*out_width/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint planes;     // images times channels
	uint height;     // of a plane
	uint width;
	uint kernel_h;   // the window
	uint kernel_w;
	uint out_height; // positions of the window
	uint out_width;
	uint stride_h;   // from one position to the next
	uint stride_w;
	uint pad_h;      // elements outside the plane before the first row and column
	uint pad_w;
)
OUT(0, T, y)         // [planes, out_height, out_width]
OPT_OUT(1, I, index) // [planes, out_height, out_width]
IN(2, T, x)          // [planes, height, width]

void main() {
	uint i = invocation();
	if (i >= planes * out_height * out_width) return;
	uint o = i % out_width, p = i / out_width % out_height, plane = i / (out_width * out_height) * height * width;
	float best = -INFINITY;
	uint place = height * width; // none yet
	for (uint a = 0; a < kernel_h; a++) {
		uint h = p * stride_h + a - pad_h; // before the edge it is large
		if (h >= height) continue;
		for (uint b = 0; b < kernel_w; b++) {
			uint w = o * stride_w + b - pad_w;
			if (w >= width) continue;
			float f = x(plane + h * width + w);
			bool first = place == height * width;
			if (first || !is_nan(best) && (is_nan(f) || f > best)) best = f, place = h * width + w;
		}
	}
	set_y(i, best);
	if (has_index) set_index(i, int(place));
}
