// AvgPool takes the mean of what a window sees at each of its positions; outside the plane are zeros,
// which count.
//
//	y[n,p,o] = sum over the window's h, w inside of x[n,h,w] / (kernel_h*kernel_w)
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
OUT(0, T, y) // [planes, out_height, out_width]
IN(1, T, x)  // [planes, height, width]

void main() {
	uint i = invocation();
	if (i >= planes * out_height * out_width) return;
	uint o = i % out_width, p = i / out_width % out_height, plane = i / (out_width * out_height) * height * width;
	float s = 0;
	for (uint a = 0; a < kernel_h; a++) {
		uint h = p * stride_h + a - pad_h; // before the edge it is large
		if (h >= height) continue;
		for (uint b = 0; b < kernel_w; b++) {
			uint w = o * stride_w + b - pad_w;
			if (w < width) s += x(plane + h * width + w);
		}
	}
	set_y(i, s / float(kernel_h * kernel_w));
}
