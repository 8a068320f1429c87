// Unary applies one function to every element.
//
//	y[i] = func(x[i])
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
CONST(0, Func, func) // the function
OUT(0, T, y) // [n]
IN(1, T, x)  // [n]

float value(float x) {
	switch (func) {
	case FuncExp: return exp(x);
	case FuncLog: return natural_log(x);
	case FuncSqrt: return sqrt(x);
	case FuncTanh: return hyperbolic_tangent(x);
	case FuncSigmoid: return sigmoid(x);
	case FuncReLU: return x > 0 || is_nan(x) ? x : 0;
	case FuncGELU: return gelu(x);
	case FuncGELUTanh: return gelu_tanh(x);
	default: return silu(x);
	}
}

void elements(bool fours) {
	EACH4(i) {
		vec4 f = GET4(x, i);
		[[unroll]] for (uint j = 0; j < 4; j++) f[j] = value(f[j]);
		SET4(y, i, f)
	}
}

void main() {
	if (EACH_IN_FOURS) elements(true);
	else elements(false);
}
