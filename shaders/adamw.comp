// AdamW is one step of PyTorch's AdamW with the gradient g*clip (clip 1 where nil).
//
//	p *= 1 - lr*weight_decay
//	m = beta1*m + (1-beta1)*g; v = beta2*v + (1-beta2)*g*g
//	p -= lr * (m/correction1) / (sqrt(v/correction2) + eps)
//	mirror = p
//	nothing of this where clip is NaN: p, m, v and mirror stay as they are, bit for bit
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;             // parameters
	float lr;           // learning rate
	float beta1;        // decay of the first moment
	float beta2;        // decay of the second moment
	float eps;          // added to the root
	float weight_decay; // decoupled decay
	float correction1;  // 1 - beta1^t at step t = 1, 2, …
	float correction2;  // 1 - beta2^t
)
INOUT(0, S, p)          // [n]: the parameters
INOUT(1, S, m)          // [n]: first moment, 0 before the first step
INOUT(2, S, v)          // [n]: second moment, 0 before the first step
OPT_INOUT(3, T, mirror) // [n]: the parameters rounded to a 16-bit type
IN(4, S, g)             // [n]: the gradient
OPT_IN(5, S, clip)      // [1]: ClipFactor's factor
