// What the kernels of attention with cooperative matrices share. It stands behind their bindings, and behind ROWS and
// COLS, the rows that a workgroup has and the columns that it multiplies them by at a time, behind SEES(row, column),
// which is sees of a query and a key, and SCRATCH, how many blocks of scores a subgroup has in memory at a time.
// Matrices are as deep as they are wide, 8 or 16 numbers.
//
// A subgroup has MATRIX_M of the rows. The columns' vectors go through `tile`, where all subgroups read them: as they
// are for products along the head, turned for products along the columns. Nobody knows which invocation has which
// element of a matrix. What needs to know goes through the subgroup's part of `scratch`, from `own` on: there an invocation
// takes, of each block of MATRIX_N columns, QUADS times four scores that stand beside each other in a row.
//
// Weights go there as words: two blocks have the same elements in the same places of their matrices, so that the two numbers
// in a place, rounded to 16 bits, are a word of a matrix of words. Its element (row, j) has columns j and j + MATRIX_N, so
// weights have their columns in that order, and so has the turned tile.

#include "include/seeing.glsl"

// Whether heads are so short that memory and registers have room for tiles twice as wide, of which there are half as many:
// an invocation of a subgroup of 64 has half the sums of one of 32.
const bool SHORT = head_dim <= (SUBGROUP > 16 ? SUBGROUP : 16);

// A subgroup has scores of HEIGHT times MATRIX_M rows, from row GROUP_ROW of the workgroup on. There are SHARE subgroups for each
// MATRIX_M rows, and so SIDES with the same, each beside as many of a tile's columns, from column SIDE on.
#ifndef HEIGHT
#define HEIGHT 1
#endif
const uint SHARE = group / SUBGROUP * MATRIX_M > ROWS ? group / SUBGROUP * MATRIX_M / ROWS : 1, SIDES = SHARE * HEIGHT;
#define GROUP_ROW (gl_SubgroupID / SIDES * HEIGHT * MATRIX_M)
#define SIDE gl_SubgroupID % SIDES * (BLOCKS * MATRIX_N)

const uint EIGHTS = head_dim / 8;      // uvec4s of a vector: eight numbers each
const uint LINE = EIGHTS + 1;          // of one in shared memory: the next begins in other banks
const uint TURNED = COLS / 8 + 1;      // of one element of a head, for all columns
const uint DEEP = MATRIX_K / 8, DEPTHS = head_dim / MATRIX_K, WIDTHS = head_dim / MATRIX_N, BLOCKS = COLS / MATRIX_N / SIDES;
const uint BLOCK = MATRIX_M * MATRIX_N / 4; // uvec4s of a block's scores
const uint ACROSS = MATRIX_N / 4, QUADS = BLOCK / SUBGROUP;
const uint WORDS = BLOCKS / 2, WORD_LINE = SIDES * WORDS * ACROSS + uint(head_dim <= 96); // matrices of words, and uvec4s of a row of all
const uint WEIGHTS = MATRIX_M * WORD_LINE;
const uint OWN = SHARE * SCRATCH * BLOCK > WEIGHTS ? SHARE * SCRATCH * BLOCK : WEIGHTS; // of MATRIX_M rows
#define OWN_BLOCK gl_SubgroupID * (OWN / SHARE)
#define OTHER_BLOCK (gl_SubgroupID ^ 1) * (OWN / SHARE) // of the subgroup with the same rows
#define OWN_WORDS (gl_SubgroupID / SIDES * HEIGHT * OWN + gl_SubgroupID % SIDES * WORDS * ACROSS)

shared uvec4 tile[COLS * LINE > head_dim * TURNED ? COLS * LINE : head_dim * TURNED];
shared uvec4 scratch[ROWS / MATRIX_M * OWN];
shared uint anybody;

// How matrices lie in shared memory: as rows, or the right factor of a product as columns.
const int BY_ROWS = gl_CooperativeMatrixLayoutRowMajor, ALONG_K = gl_CooperativeMatrixLayoutColumnMajor;

const float LOG2_E = 1.44269504;

// log2(e) times the score of products q . k.
vec2 exponent(vec2 f) { return soft_cap == 0 ? LOG2_E * scale * f : LOG2_E * capped(scale * f); }
vec4 exponent(vec4 f) { return soft_cap == 0 ? LOG2_E * scale * f : LOG2_E * capped(scale * f); }

// GO_OVER_QUADS runs what follows for each four scores of a block: those of a row from column 4x on. A block has quad
// `at` there.
#define GO_OVER_QUADS \
	[[unroll]] for (uint n = 0, at = gl_SubgroupInvocationID, row = at / ACROSS, x = at % ACROSS; n < QUADS; \
		n++, at += SUBGROUP, row = at / ACROSS, x = at % ACROSS)
#define GO_OVER_BLOCKS [[unroll]] for (uint c = 0; c < HEIGHT * BLOCKS; c++)
#define GO_OVER_WORDS [[unroll]] for (uint p = 0; p < HEIGHT * WORDS; p++)
#define WORD_AT p / WORDS * OWN + p % WORDS * ACROSS // behind `own`
#define QUAD c * QUADS + n
#define FOUR(e) [[unroll]] for (uint e = 0; e < 4; e++)

// Where an element of an argument of 16 bits lies, and eight numbers so many bytes behind a place, which is the same for all
// invocations: a device can keep it apart.
uint64_t place_of(uint b, uint element) { return packUint2x32(address[b]) + 2 * uint64_t(element); }
uvec4 eight(uint64_t from, uint bytes) { return Half8s(from + uint64_t(bytes)).at[0]; }

// Two weights as factors. No compiler seen rounds to bf16 by one instruction, so their last 16 bits are cut off, and what they are computed
// from has 2^RAISED times their size, which in an exponent costs nothing: of a mantissa m from 1 to 2, of which there are as many as 1/m,
// cutting takes 1/m of 1/256 on the average, and the mean of that, 1/(2 ln 2), is added before. So errors have mean 0, are at most 0.72 of the
// last place, and their mean square is the least that one factor gives, 1.11 times that of numbers rounded to nearest. What 8 bits hold,
// 0 and 1 among it, stays as it is, and so do infinities and every NaN that is computed.
const float RAISED = FACTOR == BF16 ? 0.0040594572 : 0; // log2(1 + 1/(512 ln 2))
uint weights2(vec2 f) {
	if (FACTOR != BF16) return factors2(f);
	return pairs_of(floatBitsToUint(f.x), floatBitsToUint(f.y)).y;
}

// LOAD_ROWS brings the subgroup's rows from a place on, whose vectors are stride elements apart and the last one here is
// number `last`, to matrices, from number `at` on.
#define LOAD_ROWS(matrices, at, from, last, stride) \
	[[unroll]] for (uint d = 0; d < EIGHTS; d += ACROSS) { \
		GO_OVER_QUADS scratch[OWN_BLOCK + x / DEEP * (BLOCK / 2) + row * DEEP + x % DEEP] = \
			eight(from, 2 * min(row, last) * stride + 16 * min(d + x, EIGHTS - 1)); \
		subgroup_barrier(); \
		coopMatLoad(matrices[at + d / DEEP], scratch, OWN_BLOCK, DEEP, BY_ROWS); \
		if (d + DEEP < EIGHTS) \
			coopMatLoad(matrices[at + d / DEEP + 1], scratch, OWN_BLOCK + BLOCK / 2, DEEP, BY_ROWS); \
		subgroup_barrier(); \
	}

// A tile has COLS columns from `to` on. Its place in memory begins at START, so that it neither begins before the first of
// `count` columns nor passes their end: all tiles have theirs in the same places, and those that another tile had are not seen
// there.
#define START(to, count) (count < COLS ? 0 : clamp(to, 0, int(count - COLS)))

// Whether places alone say what is seen: all keys up to a query's own, or those of them in the window. Without a window most
// tiles are whole, of which every pair is seen, and have a loop of their own, in which nothing is asked.
const bool KNOWN = IN_ORDER && !has_kseg;
// For the queries of a workgroup, from i0 on, tiles of keys are whole that end at whole_keys(i0) or before; for its keys, from j0
// on, tiles of queries that begin at whole_queries(j0) or behind it, where the last one ends with the last query.
int whole_keys(uint i0) {
	return KNOWN && window == 0 ? clamp(int(i0 + s - t) + 1, 0, int(s)) / int(COLS) * int(COLS) : 0;
}
int whole_queries(uint j0) {
	int n = KNOWN && window == 0 ? int(t) - clamp(int(min(j0 + ROWS, s) - 1 + t - s), 0, int(t)) : 0;
	return int(t) - n / int(COLS) * int(COLS);
}

// The columns' vectors of a tile. An invocation fetches FETCHES times eight numbers as they lie, or those of PAIRS times two
// columns that become words of the turned tile. PLACES says how many bytes behind the tile's first number they are, if its last
// column has number `last`, and where they go: compilers leave in a loop what is the same in all turns. Nothing may stand around
// a fetch that decides whether it happens: it would be waited for where that ends.
const uint FETCHES = (COLS * EIGHTS + group - 1) / group, PAIRS = (COLS / 2 * EIGHTS + group - 1) / group;
const uint PAIR_EIGHTS = group / (COLS / 2); // between one pair of an invocation and the next
#define GO_OVER(count) \
	[[unroll]] for (uint e = 0, m = gl_LocalInvocationIndex; e < count; e++, m += group)
#define GO_OVER_PAIRS \
	GO_OVER(PAIRS) if (COLS / 2 * EIGHTS % group == 0 || m < COLS / 2 * EIGHTS)
uint place[FETCHES], put_at[FETCHES], pair_place[2 * PAIRS];
uint word = gl_LocalInvocationIndex % (COLS / 2), pair_column = word / MATRIX_N * 2 * MATRIX_N + word % MATRIX_N;
uint pair_d = gl_LocalInvocationIndex / (COLS / 2), to_pair = pair_column * LINE + pair_d;
uint to_turned = pair_d * 8 * TURNED + word / 4, of_turned = word % 4;
#define PLACES(last, stride) \
	GO_OVER(FETCHES) { \
		uint at = min(m, COLS * EIGHTS - 1); \
		place[e] = 2 * min(at / EIGHTS, last) * stride + at % EIGHTS * 16; \
		put_at[e] = m / EIGHTS * LINE + m % EIGHTS; \
	}
#define PAIR_PLACES(last, stride) \
	GO_OVER(PAIRS) { \
		uint d = 16 * min(pair_d + e * PAIR_EIGHTS, EIGHTS - 1); \
		pair_place[2 * e] = 2 * min(pair_column, last) * stride + d; \
		pair_place[2 * e + 1] = 2 * min(pair_column + MATRIX_N, last) * stride + d; \
	}
#define FETCH(next, from) GO_OVER(FETCHES) next[e] = eight(from, place[e]);
#define FETCH_PAIRS(next, from) GO_OVER(2 * PAIRS) next[e] = eight(from, pair_place[e]);
#define PUT(next) \
	GO_OVER(FETCHES) if (COLS * EIGHTS % group == 0 || m < COLS * EIGHTS) tile[put_at[e]] = next[e];
#define PUT_PAIRS(next) \
	GO_OVER_PAIRS { \
		tile[to_pair + e * PAIR_EIGHTS] = next[2 * e]; \
		tile[to_pair + e * PAIR_EIGHTS + MATRIX_N * LINE] = next[2 * e + 1]; \
	}
#define PUT_TURNED(next) \
	GO_OVER_PAIRS { \
		uint at = to_turned + e * PAIR_EIGHTS * 8 * TURNED; \
		FOUR(c) { \
			uvec2 two = pairs_of(next[2 * e][c], next[2 * e + 1][c]); \
			tile[at + 2 * c * TURNED][of_turned] = two.x; \
			tile[at + (2 * c + 1) * TURNED][of_turned] = two.y; \
		} \
	}

// Where places alone do not say it, a workgroup looks at the columns of LOOKED tiles once, and keeps of each tile a bit: in `seen`
// whether somebody may see something there, in `whole` whether everybody sees everything. BOUND_ROWS finds the bounds of
// its rows' positions and segments before. Of rows within them the one nearest to a column sees it, or is seen by it, if any does,
// and all do if the bounds do. An invocation looks at four columns in a turn, LOOKED * COLS a multiple of 4 * group: else the last
// turn would look at columns behind those of LOOKED tiles, for which there is no bit.
const uint LOOKED = 32;
shared ivec2 row_least, row_most;
shared uint tiles_seen, tiles_masked;
uint seen, whole, left; // left: the tiles of `seen` that are still to come; its lowest bit is that of the tile at hand
#define BOUND_ROWS(begin, count, row_at) { \
		if (gl_LocalInvocationIndex == 0) row_least = ivec2(0x7fffffff), row_most = ivec2(-1 << 31); \
		barrier(); \
		for (uint i = gl_LocalInvocationIndex; i < min(ROWS, count - begin); i += group) { \
			ivec2 row = row_at(b, begin + i); \
			atomicMin(row_least.x, row.x); \
			atomicMin(row_least.y, row.y); \
			atomicMax(row_most.x, row.x); \
			atomicMax(row_most.y, row.y); \
		} \
		barrier(); \
	}
#define LOOK(begin, tiles, count, column_in) { \
		barrier(); \
		if (gl_LocalInvocationIndex == 0) tiles_seen = 0, tiles_masked = 0; \
		barrier(); \
		uint any = 0, masks = 0; \
		ivec2 least = row_least, most = row_most; \
		for (uint c = gl_LocalInvocationIndex; c < min(LOOKED, tiles) * COLS; c += 4 * group) { \
			ivec2 columns[4]; /* loaded together */ \
			FOUR(e) columns[e] = column_in(b, min(uint(begin) + c + e * group, count - 1)); \
			FOUR(e) { \
				ivec2 column = ivec2(columns[e].x, uint(begin) + c + e * group < count ? columns[e].y : -1); \
				uint of_tile = 1u << (c + e * group) / COLS; \
				if (SEES(clamp(column, least, most), column)) any |= of_tile; \
				if (!(SEES(least, column) && SEES(most, column))) masks |= of_tile; \
			} \
		} \
		atomicOr(tiles_seen, any); \
		atomicOr(tiles_masked, masks); \
		barrier(); \
		seen = tiles_seen; \
		whole = ~tiles_masked; \
	}
#define START_TILES(to, begin) left = seen, to = begin + findLSB(left) * int(COLS);
#define AT_WHOLE ((left & -left & whole) != 0)
// NEXT goes on to the next tile, of those from `begin` on; behind the last one to any place.
#define NEXT(to, begin) \
	if (KNOWN) to += int(COLS); \
	else { \
		left &= left - 1; \
		to = begin + findLSB(left) * int(COLS); \
	}

// FIND goes on from a tile that is masked to the first one of which somebody in the workgroup sees something, or which is whole,
// and says in `visible` what the subgroup sees there: bit e of a quad of a matrix of words for the score of element e in its
// first block, bit 4 + e for that in its second. Only where not everything is seen, which is `masked`, bits are looked at.
bool masked;
uint visible[HEIGHT * WORDS * QUADS];
#define FIND(to, begin, end, count, all_seen, row_at, column_at) \
	while (KNOWN ? to < end : left != 0 && !AT_WHOLE) { \
		masked = !KNOWN || to < 0 || to + COLS > count || !(all_seen); \
		if (masked) { \
			GO_OVER_WORDS GO_OVER_QUADS { \
				ivec2 this_row = row_at; \
				uint pairs = 0, from = START(to, count) + SIDE + 2 * (p % WORDS) * MATRIX_N + 4 * x; \
				[[dont_unroll]] for (uint e = 0; e < 8; e++) { \
					uint column = from + e / 4 * MATRIX_N + e % 4; \
					if (column - to < COLS && SEES(this_row, column_at)) pairs |= 1u << e; \
				} \
				visible[WORD_QUAD] = pairs; \
			} \
		} \
		if (KNOWN) break; \
		barrier(); \
		anybody = 0; \
		barrier(); \
		GO_OVER_WORDS GO_OVER_QUADS if (visible[WORD_QUAD] != 0) anybody = 1; \
		barrier(); \
		if (anybody != 0) break; \
		NEXT(to, begin) \
	}
#define WORD_QUAD p * QUADS + n
#define SEEN(e) ((visible[c / 2 * QUADS + n] >> (c % 2 * 4 + e) & 1u) != 0)

// LATER keeps loads of shared memory that stand behind it from being taken before it, where no instruction comes of it: RDNA 3's
// compiler has more factors on their way than registers beside each other, and exchanges those.
#define LATER \
	if (SUBGROUP == 64) memoryBarrier(gl_ScopeSubgroup, gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);

// SCORES adds to block the products of the subgroup's rows, of which FROM brings matrix d to rows[r], by the tile's columns.
#define SCORES(block, FROM) \
	[[unroll]] for (uint d = 0; d < DEPTHS; d++) { \
		MATRIX_A rows[HEIGHT]; \
		if (d == DEPTHS / 2) LATER \
		[[unroll]] for (uint r = 0; r < HEIGHT; r++) { FROM } \
		[[unroll]] for (uint c = 0; c < BLOCKS; c++) { \
			MATRIX_B columns; \
			coopMatLoad(columns, tile, (SIDE + c * MATRIX_N) * LINE + d * DEEP, LINE, ALONG_K); \
			[[unroll]] for (uint r = 0; r < HEIGHT; r++) \
				block[r * BLOCKS + c] = coopMatMulAdd(rows[r], columns, block[r * BLOCKS + c]); \
		} \
	}

// OF_ROW combines what the invocations of each quad's row have, in all subgroups that share it: PUT_OF_ROW puts their values to
// memory, and PART_OF_ROW takes those that one subgroup has put there together in order.
#define ROW_BARRIER if (SHARE > 1) barrier(); else subgroup_barrier();
#define PUT_OF_ROW(value) GO_OVER_QUADS scratch[OWN_BLOCK + row][x] = floatBitsToUint(value); ROW_BARRIER
#define PART_OF_ROW(to, operation, block) \
	to = uintBitsToFloat(scratch[block + row].x); \
	[[unroll]] for (uint e = 1; e < ACROSS; e++) to = operation(to, uintBitsToFloat(scratch[block + row][e]));
#define OF_ROW(to, operation) \
	PART_OF_ROW(to, operation, OWN_BLOCK) \
	if (SHARE > 1) { \
		float other; \
		PART_OF_ROW(other, operation, OTHER_BLOCK) \
		to = operation(to, other); \
	}
float add(float a, float b) { return a + b; }

// OF_ROWS brings what each row has, of which each quad's invocation has it, to all columns of a matrix: of short heads by a whole
// matrix in memory, since AMD's compiler has fewer copies in the loops that use it then, of longer ones by a number a row.
const bool SPREAD = head_dim <= 64;
#define OF_ROWS(matrix, value) \
	GO_OVER_QUADS if (SPREAD) scratch[own + row * WORD_LINE + x] = uvec4(floatBitsToUint(value)); \
		else if (x == 0) scratch[own + row / 4][row % 4] = floatBitsToUint(value); \
	subgroup_barrier(); \
	coopMatLoad(matrix, scratch, own, SPREAD ? WORD_LINE : 0, SPREAD ? BY_ROWS : ALONG_K); \
	subgroup_barrier();

// PUT_MASK puts words, all of whose bits are set where something is seen, to memory, and AND_MASK leaves those bits of
// matrices. All subgroups come by its barriers, whether they are `masked` or not: a software device takes them for the
// workgroup's.
#define PUT_MASK \
	if (masked) GO_OVER_WORDS GO_OVER_QUADS { \
		int pairs = int(visible[WORD_QUAD]); \
		uvec4 both; \
		FOUR(e) both[e] = uint(bitfieldExtract(pairs, int(e), 1)) & 0xffffu | uint(bitfieldExtract(pairs, int(e) + 4, 1)) << 16; \
		scratch[own + row * WORD_LINE + WORD_AT + x] = both; \
	} \
	subgroup_barrier();
#define AND_MASK(words) \
	if (masked) GO_OVER_WORDS { \
		MATRIX_C mask; \
		coopMatLoad(mask, scratch, own + WORD_AT, WORD_LINE, BY_ROWS); \
		[[unroll]] for (uint i = 0; i < mask.length(); i++) \
			words[p][i] = uintBitsToFloat(floatBitsToUint(words[p][i]) & floatBitsToUint(mask[i])); \
	}

// SET_WEIGHTS puts matrices of words where ACCUMULATE takes them, from `own` on.
#define SET_WEIGHTS(words) \
	GO_OVER_WORDS coopMatStore(words[p], scratch, own + WORD_AT, WORD_LINE, BY_ROWS);

// Sums: a subgroup has those of JOINT times its rows, in as few of a head's numbers, so that it loads fewer factors. Its sum
// [r * PART + w] is of rows SUM_BLOCK(r) * MATRIX_M and of numbers SUM_WIDTH(w) * MATRIX_N on. The subgroups' weights are there
// behind a barrier.
const uint SUMS = WIDTHS / SHARE, JOINT = (SUMS | ROWS / MATRIX_M) % 2 == 0 ? 2 : 1, PART = SUMS / JOINT;
#define SUM_BLOCK(r) (gl_SubgroupID / (JOINT * SHARE) * JOINT + r)
#define SUM_WIDTH(w) (gl_SubgroupID % (JOINT * SHARE) * PART + w)

// sum += weights * the tile's columns, which lie turned. Of short heads the weights of two blocks are loaded before their columns:
// RDNA 3's compiler exchanges fewer registers. Of longer ones it has no room for that, and takes 256 for 192.
const uint TOGETHER = head_dim <= 64 ? 2 : 1;
#define ACCUMULATE(sum) \
	[[unroll]] for (uint p = 0; p < COLS / MATRIX_N / TOGETHER; p++) { \
		if (TOGETHER == 2 || p == 0) LATER \
		MATRIX_A weights[TOGETHER * JOINT]; \
		[[unroll]] for (uint c = 0; c < TOGETHER; c++) [[unroll]] for (uint r = 0; r < JOINT; r++) \
			coopMatLoad(weights[c * JOINT + r], scratch, SUM_BLOCK(r) * OWN + (TOGETHER * p + c) * DEEP, WORD_LINE, BY_ROWS); \
		[[unroll]] for (uint w = 0; w < PART; w++) { \
			if (TOGETHER == 2) LATER \
			[[unroll]] for (uint c = 0; c < TOGETHER; c++) { \
				MATRIX_B columns; \
				coopMatLoad(columns, tile, SUM_WIDTH(w) * MATRIX_N * TURNED + (TOGETHER * p + c) * DEEP, TURNED, ALONG_K); \
				[[unroll]] for (uint r = 0; r < JOINT; r++) \
					sum[r * PART + w] = coopMatMulAdd(weights[c * JOINT + r], columns, sum[r * PART + w]); \
			} \
		} \
	}

// STORE writes the sums times factor to vectors of an argument, of which the workgroup has those from number `begin` on, and
// there are `count`; the first of them all begins at element first.
#define STORE(b, sum, first, begin, count, stride, factor) \
	[[unroll]] for (uint r = 0; r < JOINT; r++) [[unroll]] for (uint w = 0; w < PART; w++) { \
		coopMatStore(sum[r * PART + w], scratch, OWN_BLOCK, ACROSS, BY_ROWS); \
		subgroup_barrier(); \
		GO_OVER_QUADS { \
			uint i = begin + SUM_BLOCK(r) * MATRIX_M + row; \
			if (i < count) { \
				vec4 f = uintBitsToFloat(scratch[OWN_BLOCK + at]) * factor; \
				uint to = first + i * stride + SUM_WIDTH(w) * MATRIX_N + 4 * x; \
				store_four(unpackUint2x32(packUint2x32(address[b]) + 2 * uint64_t(to)), FACTOR, 0, f); \
			} \
		} \
		subgroup_barrier(); \
	}
