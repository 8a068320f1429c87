// LoRAScaleGrad is the gradient of LoRAScale.
//
//	db[o,j] (+)= alpha * s_i(o) * dbs[o,j], i = j / (rank/modules)
//	ds[i]   (+)= alpha * sum over o, and over the j of module i, of dbs[o,j] * b[o,j]
//
// With per_output ds is [modules, out] and the sum is over j alone.
//
//grid modules out_/block
//tile group=256 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"
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

// The elements of module m's columns in outputs o, which are a workgroup's: at is where in [out_, rank]. Its invocations
// stand side by side in lines of `line` columns, or four times as many.
#define MODULE4(o, at, from, to) \
	for (uint line = min(columns / STEP4, group), o = from + gl_LocalInvocationIndex / line, lines = group / line, \
		below = gl_LocalInvocationIndex < lines * line ? to : 0; o < below; o += lines) \
		for (uint c = STEP4 * (gl_LocalInvocationIndex % line), at = o * rank + m * columns + c; c < columns; \
			c += STEP4 * line, at += STEP4 * line)

void factors(bool fours, uint m, uint columns, uint from, uint to) {
	MODULE4(o, at, from, to) {
		vec4 g = alpha * s(per_output ? m * out_ + o : m) * GET4(dbs, at);
		if (acc) g += GET4(db, at);
		SET4(db, at, g)
	}
}

// A sum may have a million products: what each addition rounds off is kept beside it (Kahan).
float products(bool fours, uint m, uint columns) {
	precise vec4 sum = vec4(0), lost = vec4(0);
	MODULE4(o, at, 0, out_) {
		precise vec4 term = fma(GET4(dbs, at), GET4(b, at), -lost), next = sum + term;
		lost = next - sum - term;
		sum = next;
	}
	return sum.x + sum.y + sum.z + sum.w;
}

// A workgroup has a module's db of block outputs; the first of a module has all of its ds.
void main() {
	uint m = gl_WorkGroupID.x, columns = rank / modules, from = gl_WorkGroupID.y * block, i = gl_LocalInvocationIndex;
	bool fours = are_aligned() && rank % 4 == 0 && columns % 4 == 0;
	if (has_db) {
		uint to = min(out_, from + block);
		if (fours) factors(true, m, columns, from, to);
		else factors(false, m, columns, from, to);
	}
	if (!has_ds || from > 0 && !per_output) return;
	if (per_output) {
		for (uint o = from + i; o < min(out_, from + block); o += group) {
			uint first = o * rank + m * columns, at = m * out_ + o;
			float sum = 0;
			for (uint j = 0; j < columns; j++) sum = fma(dbs(first + j), b(first + j), sum);
			set_ds(at, acc ? fma(alpha, sum, ds(at)) : alpha * sum);
		}
		return;
	}
	float g = alpha * group_sum(fours ? products(true, m, columns) : products(false, m, columns));
	if (i == 0) set_ds(m, acc ? g + ds(m) : g);
}
