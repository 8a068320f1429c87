// Tiles of a and b for products with cooperative matrices. It stands behind Matmul's bindings and behind what takes a
// tile together: INVOCATIONS, of which this one is INVOCATION, which have `here` in the shared array `tile`, and whose
// subgroup has ROWS x COLS matrices of c from row y and column x of the tile on.

// Tiles of a and b, whatever the layout: bm and then bn lines along k, eight numbers an element, and one element more,
// so that the next line begins in other banks.
const uint EIGHTS = bk / 8, LINE = EIGHTS + 1, TILES = (bm + bn) * LINE;

// Whole steps of bk fetch FETCHES times eight numbers that lie together. Lines along k go into the tile as they come;
// of those along m (or n) an invocation takes two that are next to each other, to make pairs along k.
const uint FETCHES_A = (bm * EIGHTS + INVOCATIONS - 1) / INVOCATIONS;
const uint FETCHES_B = (bn * EIGHTS + INVOCATIONS - 1) / INVOCATIONS;
const bool WHOLE = FETCHES_A * INVOCATIONS == bm * EIGHTS && FETCHES_B * INVOCATIONS == bn * EIGHTS &&
	INVOCATIONS % (bk / 2) == 0 && (!trans_a || FETCHES_A % 2 == 0) && (trans_b || FETCHES_B % 2 == 0);

// Of a line of blocks along k an invocation takes two eights that have a scale together, and share bytes or are next to each
// other. Both says that, and APART is how many elements lie between their beginnings.
const bool BOTH = uint(PACKED) * uint(trans_b) * uint(bk % 32 == 0) * (1 - FETCHES_B % 2) == 1;
const uint PAIRS = EIGHTS / 2, APART = SHARE_BYTES ? 16 : 8;

// Element (i, l) of a tile that fetch e takes.
#define FETCH_I(along_m, both, e) (along_m ? INVOCATION / (bk / 2) * 8 + e / 2 * (INVOCATIONS / (bk / 2) * 8) : \
	both ? INVOCATION / PAIRS + e / 2 * (INVOCATIONS / PAIRS) : INVOCATION / EIGHTS + e * (INVOCATIONS / EIGHTS))
#define FETCH_L(along_m, both, e) (along_m ? INVOCATION % (bk / 2) * 2 + e % 2 : both ? e % 2 * APART + \
	(SHARE_BYTES ? INVOCATION % PAIRS / 2 * 32 + INVOCATION % 2 * 8 : INVOCATION % PAIRS * 16) : INVOCATION % EIGHTS * 8)

// START finds where the fetches of the first step are from the tile's first element on: the last line of m (or n) is
// there instead of those past the end, which nobody stores. FETCH brings them, WIDEN makes factors of blocks' numbers, PUT
// writes factors to the tile.
#define START(place, fetches, along_m, both, i0, m) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint i = min(FETCH_I(along_m, both, e), (along_m ? m - 8 : m - 1) - i0); \
		place[e] = along_m ? FETCH_L(along_m, both, e) * m + i : i * k + FETCH_L(along_m, both, e); \
	}
#define FETCH(next, place, binding, storage, fetches, first) \
	[[unroll]] for (uint e = 0; e < fetches; e++) next[e] = factors_at(address[binding], storage, first, place[e]);
#define FETCH_B(first) \
	if (PACKED) { \
		[[unroll]] for (uint e = 0; e < FETCHES_B; e += BOTH ? 2 : 1) packed_b[e] = packed_at(address[2], first, place_b[e], BOTH); \
	} else { \
		FETCH(next_b, place_b, 2, storage_W, FETCHES_B, first) \
	}
#define WIDEN_B(first) \
	if (PACKED) [[unroll]] for (uint e = 0; e < FETCHES_B; e++) { \
		uint of = BOTH ? e / 2 * 2 : e; \
		next_b[e] = factors_of_packed(packed_b[of], element_of(first, place_b[of]), BOTH, BOTH && e % 2 == 1); \
	}
#define PUT(next, to, fetches, along_m, both) \
	[[unroll]] for (uint e = 0; e < fetches; e += along_m ? 2 : 1) \
		if (both) tile[here + to + e / 2 * (INVOCATIONS / PAIRS * LINE) + e % 2 * (APART / 8)] = next[e]; \
		else if (!along_m) tile[here + to + e * (INVOCATIONS / EIGHTS * LINE)] = next[e]; \
		else [[unroll]] for (uint c = 0; c < 4; c++) { \
			uint at = here + to + (e / 2 * (INVOCATIONS / (bk / 2) * 8) + 2 * c) * LINE; \
			uvec2 pairs = pairs_of(next[e][c], next[e + 1][c]); \
			tile[at][word] = pairs.x; \
			tile[at + LINE][word] = pairs.y; \
		}

// FETCH_LAST is START and FETCH of a step of which there are but `left` lines along k: the last one there is instead of
// those past the end, and becomes 0.
#define FETCH_LAST(next, binding, storage, fetches, along_m, both, first, i0, m, left) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint i = min(FETCH_I(along_m, both, e), (along_m ? m - 8 : m - 1) - i0), l = FETCH_L(along_m, both, e); \
		uint at = min(l, left - (along_m ? 1 : 8)); \
		next[e] = factors_at(address[binding], storage, first, along_m ? at * m + i : i * k + at); \
		if (l >= left) next[e] = uvec4(0); \
	}

// Any other step: numbers past the end are 0.
#define BRING(binding, storage, first, size, along_m, i0, m, l0) \
	[[dont_unroll]] for (uint at = INVOCATION; at < size * EIGHTS; at += INVOCATIONS) { \
		uint i = i0 + at / EIGHTS, l = l0 + at % EIGHTS * 8; \
		tile[here + (first + at / EIGHTS) * LINE + at % EIGHTS] = i < m && l < k ? \
			factors_apart(address[binding], storage, along_m ? (z * k + l) * m + i : (z * m + i) * k + l, along_m ? m : 1, k - l) : uvec4(0); \
	}

// Only before whole steps, beside which it costs nothing.
#define BEGIN_SUMS [[unroll]] for (uint e = 0; e < ROWS * COLS; e++) { BEGIN(sum[e]) }

#define MULTIPLY \
	[[unroll]] for (uint l = 0; l < EIGHTS; l += MATRIX_K / 8) { \
		MATRIX_A rows[ROWS]; \
		[[unroll]] for (uint r = 0; r < ROWS; r++) \
			coopMatLoad(rows[r], tile, here + (y + r * MATRIX_M) * LINE + l, LINE, gl_CooperativeMatrixLayoutRowMajor); \
		[[unroll]] for (uint c = 0; c < COLS; c++) { \
			MATRIX_B column; \
			coopMatLoad(column, tile, here + (bm + x + c * MATRIX_N) * LINE + l, LINE, gl_CooperativeMatrixLayoutColumnMajor); \
			[[unroll]] for (uint r = 0; r < ROWS; r++) sum[r * COLS + c] = coopMatMulAdd(rows[r], column, sum[r * COLS + c]); \
		} \
	}
