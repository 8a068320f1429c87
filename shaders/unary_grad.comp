// UnaryGrad is the gradient of Unary.
//
//	dx[i] = dy[i] * func'(z[i])
//
// z is what the derivative is cheapest from: Unary's output for exp, sqrt, tanh,
// sigmoid and relu, its input for log, gelu, gelu_tanh and silu.
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"
#include "include/func.glsl"

PUSH(
	uint n; // elements
)
CONST(0, Func, func) // the function that Unary applied
OUT(0, T, dx) // [n] may be dy
IN(1, T, dy)  // [n]
IN(2, T, z)   // [n]: Unary's output or input
