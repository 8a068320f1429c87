// LoRAMirrorGrad is LoRAScaleGrad of many layers at once: it adds to the gradients of B and of the scalings, which lie in
// their memories where B and the scalings do in theirs.
//
//	db[from + k] += scale * s_m(o) * dbs[at + k], k = o * rank + first + j, j < columns
//	ds_m         += scale * sum over o and j of dbs[at + k] * b[from + k]
//
// With per_output s_m and ds_m are [out], and the sum is over j alone.
//
//grid count
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

PUSH(
	uint count; // modules of all layers
)
CONST(0, bool, per_output) // s has a number for each module and output
OPT_INOUT(0, S, db) // [*]: where the gradient of every B is
OPT_INOUT(1, S, ds) // [*]: where those of the scalings are
IN(2, S, dbs)       // [*]: where the gradient of every scaled B is
IN(3, S, b)         // [*]: where every B is
OPT_IN(4, S, s)     // [*]: where the scalings of the modules are
IN(5, S, scales)    // [count]: scale of each module's layer
IN(6, I, parts)     // [count, 7]: at, from, rank of the layer's modules together, first column, columns, out, and where in s its scalings begin

// A workgroup a module.
void main() {
	uint module = group_index(), i = gl_LocalInvocationIndex;
	if (module >= count) return;
	uint row = 7 * module, rank = uint(parts(row + 2)), first = uint(parts(row + 3)), columns = uint(parts(row + 4));
	uint at = uint(parts(row)) + first, from = uint(parts(row + 1)) + first;
	uint outputs = uint(parts(row + 5)), scaling = uint(parts(row + 6));
	float scale = scales(module);
	if (has_db) {
		for (uint n = i; n < outputs * columns; n += group) {
			uint o = n / columns, k = o * rank + n % columns;
			float by = scale;
			if (has_s) by *= s(per_output ? scaling + o : scaling);
			set_db(from + k, fma(by, dbs(at + k), db(from + k)));
		}
	}
	if (!has_ds) return;
	if (per_output) {
		for (uint o = i; o < outputs; o += group) {
			float sum = 0;
			for (uint k = o * rank; k < o * rank + columns; k++) sum = fma(dbs(at + k), b(from + k), sum);
			set_ds(scaling + o, fma(scale, sum, ds(scaling + o)));
		}
		return;
	}
	// A sum may have a million products: what each addition rounds off is kept beside it (Kahan).
	precise float sum = 0, lost = 0;
	for (uint n = i; n < outputs * columns; n += group) {
		uint k = n / columns * rank + n % columns;
		precise float term = fma(dbs(at + k), b(from + k), -lost), next = sum + term;
		lost = next - sum - term;
		sum = next;
	}
	float g = scale * group_sum(sum);
	if (i == 0) set_ds(scaling, g + ds(scaling));
}
