// MatmulGemv is Matmul for a few rows of a times the rows of b (GEMV if a is one row), as in decoding. Its
// time is that of reading b, a layer's weight: every element once, 16 bytes at a time where they allow it.
//
//for matmul
//takes m<=8 !trans_a trans_b
//grid n/bn m/bm batch
//tile group=64 bm=1 bn=2 bk=512
//tile group=64 bm=2 bn=2 bk=512
//tile group=64 bm=4 bn=4 bk=512
//tile group=64 bm=8 bn=4 bk=512
//software group=64 bm=1 bn=32 bk=64
//software group=64 bm=2 bn=32 bk=64
//software group=64 bm=4 bn=16 bk=64
//software group=64 bm=8 bn=16 bk=64

#include "include/kernel.glsl"
#include "include/aligned.glsl"

PUSH(
	uint batch;     // products
	uint m;         // rows of c
	uint n;         // columns of c
	uint k;         // length of the sums
	uint bias_rows; // of bias: 1, added to every row of c, or batch*m, each to its own
)
CONST(0, bool, trans_a) // a is stored as [batch, k, m]
CONST(1, bool, trans_b) // b is stored as [batch, n, k]
CONST(2, bool, acc)     // add to c instead of replacing it
INOUT(0, T, c)     // [batch, m, n]
IN(1, U, a)        // [batch, m, k], or [batch, k, m] if trans_a
IN(2, W, b)        // [batch, k, n], or [batch, n, k] if trans_b
OPT_IN(3, V, bias) // [bias_rows, n]

// LANES invocations go along a row of b together, each for COLS rows next to each other; bn/COLS such
// teams are a workgroup. bk is what a team takes of a row at a time, or twice that in f32: LANES is bk/8,
// a multiple of 4, and so is bn of the teams.
const uint LANES = bk / 8, COLS = bn * LANES / group;

#include "include/spans.glsl"

// An invocation takes FOURS times four elements that lie APART: 16 bytes, or the lower and upper
// halves of four bytes of a block in Q4.
const uint FOURS = storage_W == F32 ? 1 : 2, APART = storage_W == Q4 ? 16 : 4;

// The sums of every lane. A line is one longer than its content, so that the lanes write to different banks.
// First the sums of FEW of them are added to, each by those of every FEW-th lane behind it, then those of the few.
const uint SUMS = bm * bn, LINE = SUMS + 1, FEW = LANES % 8 == 0 ? 8 : LANES;
shared float sums[LANES * LINE];

// With a few rows there are fewer sums than elements of spans to multiply by a scale.
const bool LATE = bm < 4;

void main() {
	if (LEVELS) share_levels();
	uint z = gl_WorkGroupID.z, i0 = gl_WorkGroupID.y * bm, j0 = gl_WorkGroupID.x * bn;
	uint lane = gl_LocalInvocationIndex % LANES, first = gl_LocalInvocationIndex / LANES * COLS; // column of c, from j0 on
	// Rows and columns past the end are the last ones again: nobody stores them.
	uint row[bm], column[COLS];
	float sum[bm * COLS];
	[[unroll]] for (uint r = 0; r < bm; r++) row[r] = (z * m + min(i0 + r, m - 1)) * k;
	[[unroll]] for (uint c = 0; c < COLS; c++) column[c] = (z * n + min(j0 + first + c, n - 1)) * k;
	[[unroll]] for (uint e = 0; e < bm * COLS; e++) sum[e] = 0;

	bool whole = k % (storage_W >= Q8 ? block_length(storage_W) : 4 * FOURS) == 0; // nothing taken together begins or ends in two rows
	whole = whole && is_aligned(address[1], storage_U) && is_aligned(address[2], storage_W);
	if (SPANS && whole && address[2].x % SPANS_BEGIN == 0) {
		Place place[COLS];
		[[unroll]] for (uint c = 0; c < COLS; c++) place[c] = span_place(address[2], column[c] / block_length(storage_W), lane);
		for (uint s = lane; s < k / 32; s += LANES) {
			Span span[COLS];
			vec2 part[bm * COLS], ones[bm]; // sums of the halves of products with levels, and with 1
			[[unroll]] for (uint c = 0; c < COLS; c++) {
				span[c] = load_span(place[c], lane);
				next_span(place[c]);
			}
			[[unroll]] for (uint e = 0; e < bm * COLS; e++) part[e] = vec2(0);
			[[unroll]] for (uint r = 0; r < bm; r++) ones[r] = vec2(0);
			[[unroll]] for (uint i = 0; i < 4; i++) {
				vec4 w[2 * COLS];
				[[unroll]] for (uint c = 0; c < COLS; c++) {
					span_fours(span[c], i, w[2 * c], w[2 * c + 1]);
					if (!LATE) {
						w[2 * c] *= span[c].scale.x;
						w[2 * c + 1] *= span[c].scale.y;
						if (LEAST) {
							w[2 * c] -= span[c].least.x;
							w[2 * c + 1] -= span[c].least.y;
						}
					}
				}
				[[unroll]] for (uint r = 0; r < bm; r++) {
					uvec2 at = address_of(address[1], row[r] + span_start(s), storage_U == F32 ? 2 : 1);
					vec4 x = load_float_four(at, storage_U, 4 * i), y = load_float_four(at, storage_U, 4 * i + SPAN_APART);
					ones[r] += vec2(dot(x, vec4(1)), dot(y, vec4(1)));
					[[unroll]] for (uint c = 0; c < COLS; c++) {
						uint e = r * COLS + c;
						if (LATE) {
							part[e] += vec2(dot(w[2 * c], x), dot(w[2 * c + 1], y));
						} else {
							sum[e] += dot(w[2 * c], x);
							sum[e] += dot(w[2 * c + 1], y);
						}
					}
				}
			}
			if (LATE)
				[[unroll]] for (uint e = 0; e < bm * COLS; e++) {
					sum[e] += dot(part[e], span[e % COLS].scale);
					if (LEAST) sum[e] -= dot(ones[e / COLS], span[e % COLS].least);
				}
		}
	} else if (whole && (storage_W < Q8 || LANES % 16 != 0)) {
		uint start = storage_W == Q4 ? lane / 4 * 32 + lane % 4 * 4 : 4 * FOURS * lane;
		for (uint l = start; l < k; l += 4 * FOURS * LANES) {
			vec4 w[2 * COLS];
			[[unroll]] for (uint c = 0; c < COLS; c++) load_fours(address[2], storage_W, column[c] + l, w[2 * c], w[2 * c + 1]);
			[[unroll]] for (uint f = 0; f < FOURS; f++)
				[[unroll]] for (uint r = 0; r < bm; r++) {
					vec4 x = load_float_four(address[1], storage_U, row[r] + l + f * APART);
					[[unroll]] for (uint c = 0; c < COLS; c++) sum[r * COLS + c] += dot(w[2 * c + f], x);
				}
		}
	} else {
		for (uint l = lane; l < k; l += LANES) {
			float w[COLS];
			[[unroll]] for (uint c = 0; c < COLS; c++) w[c] = element(column[c] + l);
			[[unroll]] for (uint r = 0; r < bm; r++) {
				float x = a(row[r] + l);
				[[unroll]] for (uint c = 0; c < COLS; c++) sum[r * COLS + c] = fma(w[c], x, sum[r * COLS + c]);
			}
		}
	}

	[[unroll]] for (uint r = 0; r < bm; r++)
		[[unroll]] for (uint c = 0; c < COLS; c++) sums[lane * LINE + r * bn + first + c] = sum[r * COLS + c];
	barrier();
	if (FEW < LANES) {
		for (uint e = gl_LocalInvocationIndex; e < FEW * SUMS; e += group) {
			uint at = e / SUMS * LINE + e % SUMS;
			float f = sums[at];
			[[unroll]] for (uint l = FEW; l < LANES; l += FEW) f += sums[at + l * LINE];
			sums[at] = f;
		}
		barrier();
	}
	for (uint e = gl_LocalInvocationIndex; e < SUMS; e += group) {
		uint i = i0 + e / bn, j = j0 + e % bn, at = (z * m + i) * n + j;
		if (i >= m || j >= n) continue;
		float f = sums[e];
		[[unroll]] for (uint l = 1; l < FEW; l++) f += sums[e + l * LINE];
		if (has_bias) f += bias(bias_rows > 1 ? at : j);
		if (acc) f += c(at);
		set_c(at, f);
	}
}
