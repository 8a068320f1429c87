// AvgPoolGrad is the gradient of AvgPool.
//
//	dx[n,h,w] = sum over the p, o whose window sees h, w of dy[n,p,o] / (kernel_h*kernel_w)
//
//grid planes*height*width/group
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
OUT(0, T, dx) // [planes, height, width]
IN(1, T, dy)  // [planes, out_height, out_width]

// An invocation an element of dx, which looks at the positions whose window sees it.
void main() {
	uint i = invocation();
	if (i >= planes * height * width) return;
	uint w = i % width, h = i / width % height, plane = i / (width * height) * out_height * out_width;
	uint top = h + pad_h, left = w + pad_w;
	uint p0 = top < kernel_h ? 0 : (top - kernel_h) / stride_h + 1, o0 = left < kernel_w ? 0 : (left - kernel_w) / stride_w + 1;
	float s = 0;
	for (uint p = p0; p < min(out_height, top / stride_h + 1); p++)
		for (uint o = o0; o < min(out_width, left / stride_w + 1); o++) s += dy(plane + p * out_width + o);
	set_dx(i, s / float(kernel_h * kernel_w));
}
