// AdamW is one step of PyTorch's AdamW with the gradient g*clip (clip 1 where nil).
//
//	p *= 1 - lr*weight_decay
//	m = beta1*m + (1-beta1)*g; v = beta2*v + (1-beta2)*g*g
//	p -= lr * (m/correction1) / (sqrt(v/correction2) + eps)
//	mirror = p
//	nothing of this where clip is NaN: p, m, v and mirror stay as they are, bit for bit
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

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

void elements(bool fours, float c) {
	float decay = 1 - lr * weight_decay, rate = lr / correction1, root = sqrt(correction2);
	EACH4(i) {
		vec4 gradient = GET4(g, i) * c, first = GET4(m, i), second = GET4(v, i);
		first += (1 - beta1) * (gradient - first);
		second = beta2 * second + (1 - beta2) * gradient * gradient;
		vec4 parameter = GET4(p, i) * decay - rate * first / (sqrt(second) / root + eps);
		SET4(m, i, first)
		SET4(v, i, second)
		SET4(p, i, parameter)
		if (has_mirror) SET4(mirror, i, parameter)
	}
}

void main() {
	float c = has_clip ? clip(0) : 1;
	if (is_nan(c)) return;
	if (EACH_IN_FOURS) elements(true, c);
	else elements(false, c);
}
