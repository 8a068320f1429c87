// BatchNorm gives every channel the mean bias and the deviation weight.
//
//	y[n,c,i] = (x[n,c,i] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c]; without them 1 and 0
//
//grid batch*channels*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint batch;    // images
	uint channels; // of an image
	uint inner;    // positions of a channel
	float eps;     // added to the variance
)
OUT(0, T, y)         // [batch, channels, inner]
IN(1, T, x)          // [batch, channels, inner]
IN(2, S, mean)       // [channels]
IN(3, S, variance)   // [channels]
OPT_IN(4, W, weight) // [channels]
OPT_IN(5, W, bias)   // [channels]

void main() {
	uint i = invocation();
	if (i >= batch * channels * inner) return;
	uint c = i / inner % channels;
	float f = (x(i) - mean(c)) / sqrt(variance(c) + eps);
	if (has_weight) f *= weight(c);
	if (has_bias) f += bias(c);
	set_y(i, f);
}
