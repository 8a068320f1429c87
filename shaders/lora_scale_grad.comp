// LoRAScaleGrad is the gradient of LoRAScale.
//
//	db[o,j] (+)= alpha * s_i(o) * dbs[o,j], i = j / (rank/modules)
//	ds[i]   (+)= alpha * sum over o, and over the j of module i, of dbs[o,j] * b[o,j]
//
// With per_output ds is [modules, out] and the sum is over j alone.
//
//grid modules
//tile group=64

#include "include/kernel.glsl"
#include "include/reduce.glsl"

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

// A workgroup a module.
void main() {
	uint module = group_index(), i = gl_LocalInvocationIndex, columns = rank / modules, first = module * columns;
	if (module >= modules) return;
	if (has_db) {
		for (uint n = i; n < out_ * columns; n += group) {
			uint o = n / columns, at = o * rank + first + n % columns;
			float g = alpha * s(per_output ? module * out_ + o : module) * dbs(at);
			if (acc) g += db(at);
			set_db(at, g);
		}
	}
	if (!has_ds) return;
	if (per_output) {
		for (uint o = i; o < out_; o += group) {
			float sum = 0;
			for (uint j = 0; j < columns; j++) sum = fma(dbs(o * rank + first + j), b(o * rank + first + j), sum);
			uint at = module * out_ + o;
			set_ds(at, acc ? fma(alpha, sum, ds(at)) : alpha * sum);
		}
		return;
	}
	// A sum may have a million products: what each addition rounds off is kept beside it (Kahan).
	precise float sum = 0, lost = 0;
	for (uint n = i; n < out_ * columns; n += group) {
		uint at = n / columns * rank + first + n % columns;
		precise float term = fma(dbs(at), b(at), -lost), next = sum + term;
		lost = next - sum - term;
		sum = next;
	}
	float g = alpha * group_sum(sum);
	if (i == 0) set_ds(module, acc ? g + ds(module) : g);
}
