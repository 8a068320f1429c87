// Fill sets every element to one value.
//
//	y[i] = value
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;      // elements
	float value; // what they become
)
OUT(0, T, y) // [n]
