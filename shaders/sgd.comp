// SGD is one step of PyTorch's SGD (dampening 0, no Nesterov) with the gradient g*clip (clip 1 where nil).
//
//	d = g*clip + weight_decay*p
//	velocity = momentum*velocity + d; p -= lr * velocity (lr * d without velocity)
//	nothing of this where clip is NaN: p and velocity stay as they are, bit for bit
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

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
