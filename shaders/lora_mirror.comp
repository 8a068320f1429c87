// LoRAMirror writes A and the scaled B (LoRAScale) of many layers one behind the other, as products beside activations of
// another type take them. Each begins at a multiple of chunk, and zeros follow it up to the next.
//
//	y[i] = a[from + j]                                      of a part that is an A, i = at + j
//	y[i] = scale * s_m(o) * b[from + j], j = o * rank + c   of one that is a B, m = c / columns
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"

PUSH(
	uint n;     // elements of y, a multiple of chunk
	uint chunk; // elements of a chunk, all of which are one part's
	uint count; // parts
)
CONST(0, bool, per_output) // s has a number for each module and output
OUT(0, T, y)         // [n]
IN(1, S, a)          // [*]: where every A is
IN(2, S, b)          // [*]: where every B is
OPT_IN(3, S, s)      // [*]: where the scalings of the modules are, of each layer [modules], or [modules, out] if per_output
IN(4, S, scales)     // [count]: scale of each part
IN(5, I, parts)      // [count, 7]: at, from, elements, rank (0: an A), columns of a module, out, and where in s its scalings begin
IN(6, I, part_of)    // [n/chunk]: the part of each chunk

void main() {
	uint i = invocation();
	if (i >= n) return;
	uint part = uint(part_of(i / chunk)), at = 7 * part, j = i - uint(parts(at)), from = uint(parts(at + 1)) + j;
	uint rank = uint(parts(at + 3)), columns = uint(parts(at + 4)), outputs = uint(parts(at + 5));
	float f = 0;
	if (j < uint(parts(at + 2))) {
		if (rank == 0) f = a(from);
		else {
			float by = scales(part);
			uint o = j / rank, m = j % rank / columns;
			if (has_s) by *= s(uint(parts(at + 6)) + (per_output ? m * outputs + o : m));
			f = by * b(from);
		}
	}
	set_y(i, f);
}
