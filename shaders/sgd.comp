// SGD is one step of PyTorch's SGD (dampening 0, no Nesterov) with the gradient g*clip (clip 1 where nil).
//
//	d = g*clip + weight_decay*p
//	velocity = momentum*velocity + d; p -= lr * velocity (lr * d without velocity)
//	nothing of this where clip is NaN: p and velocity stay as they are, bit for bit
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint n;             // parameters
	float lr;           // learning rate
	float momentum;     // decay of the velocity
	float weight_decay; // L2 decay
)
INOUT(0, S, p)            // [n]: the parameters
OPT_INOUT(1, S, velocity) // [n]: 0 before the first step
IN(2, S, g)               // [n]: the gradient
OPT_IN(3, S, clip)        // [1]: ClipFactor's factor

void elements(bool fours, float c) {
	EACH4(i) {
		vec4 parameter = GET4(p, i), d = GET4(g, i) * c + weight_decay * parameter;
		if (has_velocity) {
			d += momentum * GET4(velocity, i);
			SET4(velocity, i, d)
		}
		SET4(p, i, parameter - lr * d)
	}
}

void main() {
	float c = has_clip ? clip(0) : 1;
	if (is_nan(c)) return;
	if (EACH_IN_FOURS) elements(true, c);
	else elements(false, c);
}
