// BatchNormGrad is the gradient of BatchNorm with respect to x. Where the statistics are those of x
// itself, dweight and dbias say what moves with them.
//
//	dx[n,c,i] = weight[c] * r * (dy[n,c,i] - (dbias[c] + (x[n,c,i] - mean[c]) * r * dweight[c]) / (batch*inner)),
//	            r = 1 / sqrt(variance[c] + eps); without dweight and dbias, weight[c] * r * dy[n,c,i]
//
//grid batch*channels*inner/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint batch;    // images
	uint channels; // of an image
	uint inner;    // positions of a channel
	float eps;     // as in BatchNorm
)
OUT(0, T, dx)         // [batch, channels, inner]
IN(1, T, dy)          // [batch, channels, inner]
IN(2, T, x)           // [batch, channels, inner]
IN(3, S, mean)        // [channels]
IN(4, S, variance)    // [channels]
OPT_IN(5, W, weight)  // [channels]
OPT_IN(6, S, dweight) // [channels]: from BatchNormGradWeight
OPT_IN(7, S, dbias)   // [channels]: from there, with dweight or not at all

void main() {
	uint i = invocation();
	if (i >= batch * channels * inner) return;
	uint c = i / inner % channels;
	float rstd = 1 / sqrt(variance(c) + eps), f = dy(i);
	if (has_dweight) f -= (dbias(c) + (x(i) - mean(c)) * rstd * dweight(c)) / float(batch * inner);
	if (has_weight) f *= weight(c);
	set_dx(i, f * rstd);
}
