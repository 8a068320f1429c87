// LoraScaleGrad is the gradient of LoraScale.
//
//	db[o,j] (+)= alpha * s_i(o) * dbs[o,j], i = j / (rank/modules)
//	ds[i]   (+)= alpha * sum over o, and over the j of module i, of dbs[o,j] * b[o,j]
//
// With per_output ds is [modules, out] and the sum is over j alone.
//
//grid modules
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint out_;    // rows of b: the layer's outputs
	uint rank;    // columns of b: the rank of all modules together, a multiple of modules
	uint modules; // modules
	float alpha;  // factor of everything
)
CONST(0, bool, per_output) // s has a number for each module and output
CONST(1, bool, acc)        // add to db and ds instead of replacing them
OPT_INOUT(0, S, db) // [out_, rank]
OPT_INOUT(1, S, ds) // [*]: [modules], or [modules, out] if per_output
IN(2, S, dbs)       // [out_, rank]
IN(3, S, b)         // [out_, rank]
IN(4, S, s)         // [*]: [modules], or [modules, out] if per_output
