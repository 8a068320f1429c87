// UnaryGrad is the gradient of Unary.
//
//	dx[i] = dy[i] * func'(z[i])
//
// z is what the derivative is cheapest from: Unary's output for exp, sqrt, tanh,
// sigmoid and relu, its input for log, gelu, gelu_tanh and silu.
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/func.glsl"
#include "include/activation.glsl"

PUSH(
	uint n; // elements
)
CONST(0, Func, func) // the function that Unary applied
OUT(0, T, dx) // [n] may be dy
IN(1, T, dy)  // [n]
IN(2, T, z)   // [n]: Unary's output or input

float derivative(float z) {
	switch (func) {
	case FuncExp: return z;
	case FuncLog: return 1 / z;
	case FuncSqrt: return 0.5 / z;
	case FuncTanh: return 1 - z * z;
	case FuncSigmoid: return z * (1 - z);
	case FuncReLU: return z > 0 || is_nan(z) ? 1 : 0; // a NaN must not hide
	case FuncGELU: return gelu_grad(z);
	case FuncGELUTanh: return gelu_tanh_grad(z);
	default: return silu_grad(z);
	}
}

void elements(bool fours) {
	EACH4(i) {
		vec4 f = GET4(z, i);
		[[unroll]] for (uint j = 0; j < 4; j++) f[j] = derivative(f[j]);
		SET4(dx, i, GET4(dy, i) * f)
	}
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
