// Unary applies one function to every element.
//
//	y[i] = func(x[i])
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"
#include "include/func.glsl"

PUSH(
	uint n; // elements
)
CONST(0, Func, func) // the function
OUT(0, T, y) // [n]
IN(1, T, x)  // [n]
