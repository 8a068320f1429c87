// Matmul multiplies matrices, for every one of a batch independently.
//
//	c[i,j] (+)= sum over l of a[i,l] * b[l,j] + bias[j], or + bias[i,j]
//
//grid n/bn m/bm batch
//values bias_rows 0 1 batch*m
//tile group=64 bm=32 bn=32 bk=16
//tile group=64 bm=64 bn=64 bk=16
//tile group=256 bm=128 bn=128 bk=16
//wide group=512 bm=256 bn=256 bk=16

#include "include/kernel.glsl"

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

// An invocation has BELOW x BESIDE blocks of SIDE x SIDE elements of c, which are bm/BELOW rows and bn/BESIDE columns apart.
// So bm is a multiple of SIDE*BELOW, bn of SIDE*BESIDE, and bk of SIDE; one invocation for 16, 64 or 128 elements of c is
// right, with fewer a workgroup takes several passes.
const uint SIDE = 4, EACH = bm * bn / group, BESIDE = EACH >= 64 ? 2 : 1, BELOW = EACH >= 128 ? 4 : BESIDE;
const uint DOWN = bm / (SIDE * BELOW), ACROSS = bn / (SIDE * BESIDE); // invocations of a pass

// Tiles of a and b: bk lines of bm and bn elements, in fours, and one more against bank conflicts.
const uint LINE_A = bm / 4 + 1, LINE_B = bn / 4 + 1;
shared vec4 tile_a[bk * LINE_A], tile_b[bk * LINE_B];

// Fours that an invocation brings for a step: those along m (or n) go into the tile as they come. A whole step brings them
// to registers, while those before are multiplied.
const uint FETCHES_A = (bm * bk / 4 + group - 1) / group, FETCHES_B = (bn * bk / 4 + group - 1) / group;
const bool WHOLE = FETCHES_A * group * 4 == bm * bk && FETCHES_B * group * 4 == bn * bk;

// Element (i, l) of a tile where the four number at begins.
#define AT_I(along_m, size, at) (along_m ? at % (size / 4) * 4 : at / (bk / 4))
#define AT_L(along_m, size, at) (along_m ? at / (size / 4) : at % (bk / 4) * 4)

// START finds where the fetches of the first step are; the last elements of m (or n) are there instead of those past the
// end, which nobody stores. Memory is contiguous along m if along_m, else along k.
#define START(place, fetches, size, along_m, i0, m) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint at = gl_LocalInvocationIndex + e * group, i = min(i0 + AT_I(along_m, size, at), along_m ? m - 4 : m - 1); \
		uint l = AT_L(along_m, size, at); \
		place[e] = along_m ? (z * k + l) * m + i : (z * m + i) * k + l; \
	}
#define FETCH(x, next, place, fetches, ahead) \
	[[unroll]] for (uint e = 0; e < fetches; e++) next[e] = x##_four_behind(ahead, place[e]);
#define PUT(tile, width, size, along_m, at, f) { \
		uint i = AT_I(along_m, size, at), l = AT_L(along_m, size, at); \
		if (along_m) tile[l * width + i / 4] = f; \
		else [[unroll]] for (uint c = 0; c < 4; c++) tile[(l + c) * width + i / 4][i % 4] = f[c]; \
	}

// PUT_LAST is START, FETCH and PUT of a step of which only a part is there: the last line along k is taken instead of those
// past the end, and becomes 0.
#define PUT_LAST(x, tile, width, fetches, size, along_m, i0, m) { \
		vec4 next[fetches]; \
		[[unroll]] for (uint e = 0; e < fetches; e++) { \
			uint at = gl_LocalInvocationIndex + e * group, i = min(i0 + AT_I(along_m, size, at), along_m ? m - 4 : m - 1); \
			uint l = l0 + AT_L(along_m, size, at), last = min(l, along_m ? k - 1 : k - 4); \
			vec4 f = x##_four(along_m ? (z * k + last) * m + i : (z * m + i) * k + last); \
			next[e] = l < k ? f : vec4(0); \
		} \
		[[unroll]] for (uint e = 0; e < fetches; e++) \
			PUT(tile, width, size, along_m, (gl_LocalInvocationIndex + e * group), next[e]) \
	}

// Any other step: numbers past the end are 0.
#define BRING(x, tile, width, size, along_m, i0, m) \
	[[dont_unroll]] for (uint at = gl_LocalInvocationIndex; at < size * bk / 4; at += group) { \
		uint i = i0 + AT_I(along_m, size, at), l = l0 + AT_L(along_m, size, at); \
		vec4 f = i < m && l < k ? x##_some(along_m ? (z * k + l) * m + i : (z * m + i) * k + l, along_m ? m - i : k - l) : vec4(0); \
		PUT(tile, width, size, along_m, at, f) \
	}

#define MULTIPLY_LINE(l) { \
		vec4 column[BELOW], row[BESIDE]; \
		[[unroll]] for (uint u = 0; u < BELOW; u++) column[u] = tile_a[(l) * LINE_A + y + u * DOWN]; \
		[[unroll]] for (uint u = 0; u < BESIDE; u++) row[u] = tile_b[(l) * LINE_B + x + u * ACROSS]; \
		[[unroll]] for (uint e = 0; e < SUMS; e++) \
			sum[e] = fma(vec4(column[e / BESIDE / SIDE][e / BESIDE % SIDE]), row[e % BESIDE], sum[e]); \
	}

// A loop over the lines along k of a step, some of them in its body. Software, which takes small tiles, needs a second to
// compile more.
#define MULTIPLY \
	[[dont_unroll]] for (uint line = 0; line < bk; line += LINES) [[unroll]] for (uint l = 0; l < LINES; l++) MULTIPLY_LINE(line + l)
const uint LINES = BESIDE > 1 ? 4 : 1;

// Four sums of a row: of row r of the blocks u below and v beside each other at (u * SIDE + r) * BESIDE + v.
const uint SUMS = BELOW * SIDE * BESIDE;
#define SUM_I(e) (i0 + (y + e / BESIDE / SIDE * DOWN) * SIDE + e / BESIDE % SIDE)
#define SUM_J(e) (j0 + (x + e % BESIDE * ACROSS) * SIDE)

void main() {
	uint z = gl_WorkGroupID.z, i0 = gl_WorkGroupID.y * bm, j0 = gl_WorkGroupID.x * bn;
	bool fours = WHOLE && IN_FOURS(1, U) && IN_FOURS(2, W) && (trans_a ? m : k) % 4 == 0 && (trans_b ? k : n) % 4 == 0;
	uint whole = fours ? k / bk * bk : 0; // of k in steps that need no look at what they load
	bool whole_c = n % 4 == 0 && IN_FOURS(0, T) && (!has_bias || IN_FOURS(3, V));
	for (uint pass = 0; pass < DOWN * ACROSS; pass += group) {
		uint block = pass + gl_LocalInvocationIndex, x = block % ACROSS, y = min(block / ACROSS, DOWN - 1);
		vec4 sum[SUMS];
		[[unroll]] for (uint e = 0; e < SUMS; e++) sum[e] = vec4(0);
		if (whole > 0) {
			// There is no branch around a fetch, or it would be waited for where the branch ends: the last ones are
			// fetched again.
			vec4 next_a[FETCHES_A], next_b[FETCHES_B];
			uint place_a[FETCHES_A], place_b[FETCHES_B], step_a = trans_a ? m : 1, step_b = trans_b ? 1 : n;
			START(place_a, FETCHES_A, bm, trans_a, i0, m)
			START(place_b, FETCHES_B, bn, !trans_b, j0, n)
			FETCH(a, next_a, place_a, FETCHES_A, 0)
			FETCH(b, next_b, place_b, FETCHES_B, 0)
			uint l0 = 0;
			do {
				barrier();
				[[unroll]] for (uint e = 0; e < FETCHES_A; e++)
					PUT(tile_a, LINE_A, bm, trans_a, (gl_LocalInvocationIndex + e * group), next_a[e])
				[[unroll]] for (uint e = 0; e < FETCHES_B; e++)
					PUT(tile_b, LINE_B, bn, !trans_b, (gl_LocalInvocationIndex + e * group), next_b[e])
				barrier();
				l0 += bk;
				uint ahead = min(l0, whole - bk);
				FETCH(a, next_a, place_a, FETCHES_A, ahead * step_a)
				FETCH(b, next_b, place_b, FETCHES_B, ahead * step_b)
				if (BESIDE > 1) { // all lines at once, for their places in the tiles are then constants
					[[unroll]] for (uint l = 0; l < bk; l++) MULTIPLY_LINE(l)
				} else MULTIPLY
			} while (l0 < whole);
		}
		for (uint l0 = whole; l0 < k; l0 += bk) {
			barrier();
			if (fours) {
				PUT_LAST(a, tile_a, LINE_A, FETCHES_A, bm, trans_a, i0, m)
				PUT_LAST(b, tile_b, LINE_B, FETCHES_B, bn, !trans_b, j0, n)
			} else {
				BRING(a, tile_a, LINE_A, bm, trans_a, i0, m)
				BRING(b, tile_b, LINE_B, bn, !trans_b, j0, n)
			}
			barrier();
			MULTIPLY
		}
		bool beside = block >= DOWN * ACROSS; // of the last pass
		if (whole_c) {
			[[unroll]] for (uint u = 0; u < BELOW; u++) { // what is added to is loaded at once, then stored
				vec4 old[SIDE * BESIDE];
				[[unroll]] for (uint f = 0; f < SIDE * BESIDE; f++) {
					uint e = u * SIDE * BESIDE + f, i = min(SUM_I(e), m - 1), j = min(SUM_J(e), n - 4);
					old[f] = vec4(0);
					uint at = (z * m + i) * n + j;
					if (has_bias) old[f] += bias_four(bias_rows > 1 ? at : j);
					if (acc) old[f] += c_four(at);
				}
				[[unroll]] for (uint f = 0; f < SIDE * BESIDE; f++) {
					uint e = u * SIDE * BESIDE + f, i = SUM_I(e), j = SUM_J(e);
					if (i < m && j < n && !beside) set_c_four((z * m + i) * n + j, sum[e] + old[f]);
				}
			}
			continue;
		}
		[[dont_unroll]] for (uint e = 0; e < SUMS; e++) {
			vec4 f = sum[0];
			[[unroll]] for (uint g = 1; g < SUMS; g++) f = g == e ? sum[g] : f; // only constants may be its indices
			uint i = SUM_I(e), j = SUM_J(e), at = (z * m + i) * n + j;
			if (i >= m || j >= n || beside) continue;
			if (has_bias) f += bias_some(bias_rows > 1 ? at : j, n - j);
			if (acc) f += c_some(at, n - j);
			set_c_some(at, n - j, f);
		}
	}
}
