// Im2Col lays out what a convolution's window sees at each of its positions as a row of a matrix, 0
// outside the image, so that the convolution is a product of matrices.
//
//	cols[r,q] = x[image,first+c,h,w] for r = (image, p, o) and q = (c, a, b), with
//	            h = p*stride_h - pad_h + a*step_h and w = o*stride_w - pad_w + b*step_w
//
//go Im2Col
//grid n*count*kernel_h*kernel_w/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;          // rows: images*out_height*out_width
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
OUT(0, T, cols) // [n, count, kernel_h, kernel_w]
IN(1, T, x)     // [*]: images of channels*height*width

void main() {
	uint i = invocation(), window = count * kernel_h * kernel_w;
	if (i >= n * window) return;
	uint r = i / window, q = i % window;
	uint image = r / (out_height * out_width), p = r / out_width % out_height, o = r % out_width;
	uint c = q / (kernel_h * kernel_w), a = q / kernel_w % kernel_h, b = q % kernel_w;
	uint h = p * stride_h + a * step_h - pad_h, w = o * stride_w + b * step_w - pad_w; // before the edge they are large
	set_cols(i, h < height && w < width ? x(((image * channels + first + c) * height + h) * width + w) : 0);
}
