// BatchNormStats measures every channel over all images and positions, and moves the running
// statistics towards what it has measured.
//
//	mean[c] = sum over n, i of x[n,c,i] / (batch*inner); variance[c] = sum of (x[n,c,i] - mean[c])² / (batch*inner)
//	running_mean[c] += momentum * (mean[c] - running_mean[c]), running_variance alike, with the
//	variance times batch*inner / (batch*inner - 1)
//
//grid channels
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint batch;     // images
	uint channels;  // of an image
	uint inner;     // positions of a channel
	float momentum; // weight of this measurement
)
OUT(0, S, mean)                    // [channels]
OUT(1, S, variance)                // [channels]
OPT_INOUT(2, S, running_mean)      // [channels]
OPT_INOUT(3, S, running_variance)  // [channels]
IN(4, T, x)                        // [batch, channels, inner]

// A workgroup a channel.
void main() {
	uint c = group_index(), i = gl_LocalInvocationIndex, n = batch * inner;
	if (c >= channels) return;
	float s = 0, v = 0;
	for (uint j = i; j < n; j += group) s += x((j / inner * channels + c) * inner + j % inner);
	s = group_sum(s) / float(n);
	for (uint j = i; j < n; j += group) {
		float d = x((j / inner * channels + c) * inner + j % inner) - s;
		v += d * d;
	}
	v = group_sum(v) / float(n);
	if (i > 0) return;
	set_mean(c, s);
	set_variance(c, v);
	if (has_running_mean) set_running_mean(c, running_mean(c) + momentum * (s - running_mean(c)));
	if (has_running_variance) {
		float unbiased = v * float(n) / float(max(n - 1, 1));
		set_running_variance(c, running_variance(c) + momentum * (unbiased - running_variance(c)));
	}
}
