// BatchNormGradWeight is the gradient of BatchNorm with respect to its weight and bias.
//
//	dweight[c] = sum over n, i of dy[n,c,i] * (x[n,c,i] - mean[c]) / sqrt(variance[c] + eps); dbias[c] = sum of dy[n,c,i]
//
//grid channels
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint batch;    // images
	uint channels; // of an image
	uint inner;    // positions of a channel
	float eps;     // as in BatchNorm
)
OUT(0, S, dweight) // [channels]
OUT(1, S, dbias)   // [channels]
IN(2, T, dy)       // [batch, channels, inner]
IN(3, T, x)        // [batch, channels, inner]
IN(4, S, mean)     // [channels]
IN(5, S, variance) // [channels]

// A workgroup a channel.
void main() {
	uint c = group_index(), i = gl_LocalInvocationIndex;
	if (c >= channels) return;
	float rstd = 1 / sqrt(variance(c) + eps), w = 0, b = 0;
	for (uint j = i; j < batch * inner; j += group) {
		uint at = (j / inner * channels + c) * inner + j % inner;
		w += dy(at) * (x(at) - mean(c));
		b += dy(at);
	}
	w = group_sum(w);
	b = group_sum(b);
	if (i > 0) return;
	set_dweight(c, w * rstd);
	set_dbias(c, b);
}
