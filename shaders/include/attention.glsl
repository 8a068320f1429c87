// What the three kernels of attention share. It stands behind their bindings, and behind
// ROWS and COLS, the sizes of the tile of scores that a workgroup works on at a time, and
// SEES(row, column), which is sees of a query and a key.
//
// The rows of q and k go through shared memory in parts of DEPTH elements of a head, turned: a vec4
// is one element of four rows. So an invocation, which has SIDE x SIDE scores, rows and columns
// beside each other, takes the factors of all of them in two loads.

#include "include/seeing.glsl"

const uint SIDE = 4;
const uint DEPTH = head_dim < 32 ? (head_dim + 3) / 4 * 4 : 32, WIDTH = DEPTH / 4;
const uint PARTS = (head_dim + DEPTH - 1) / DEPTH;
const uint DOWN = ROWS / SIDE, ACROSS = COLS / SIDE; // powers of two; attention.comp wants four ACROSS at least
const uint SCORE_BLOCKS = (DOWN * ACROSS + group - 1) / group; // blocks of scores of an invocation

// Sums go over a head in strips, which are twice or four times as wide as a part where that has sums for half or a quarter of
// the invocations. The columns' vectors come LINES at a time, as many as take a part's memory.
const uint PARTS_OF_STRIP = 4 * DOWN * WIDTH <= group && PARTS > 2 ? 4 : DOWN * WIDTH < group ? 2 : 1;
const uint STRIP = PARTS_OF_STRIP * DEPTH, STRIP_WIDTH = STRIP / 4;
const uint STRIPS = (head_dim + STRIP - 1) / STRIP, LINES = COLS * DEPTH / STRIP;
const uint SUM_BLOCKS = (DOWN * STRIP_WIDTH + group - 1) / group; // of a strip's sums

shared vec4 right[DEPTH * ACROSS];
// First the rows' part, then the weights of a column for four rows, with one more against bank conflicts: shared memory
// is what keeps a device from having more waves.
shared vec4 left[DEPTH * DOWN > COLS * (DOWN + 1) ? DEPTH * DOWN : COLS * (DOWN + 1)];
#define weights left
shared uvec4 anybody; // in x: one number alone, and NVK has what lies behind it where it loads four by ones and twos

vec4 scores[SCORE_BLOCKS * SIDE]; // of a row
uint visible[SCORE_BLOCKS];       // bit SIDE*r+c: the query sees the key

// Steps of a sum over columns that the body of its loop has; a software device takes seconds to compile more. Bounds and the
// numbers of parts are constants: drivers leave other loops rolled, and choose among the sums at every access.
const uint STEPS = 4;

// FOR_STRIPS writes out X(strip) for all strips of a head, the ninth and those behind it in a loop.
#define FOR_STRIPS(X) \
	X(0) \
	if (STRIPS > 1) { X(1) } if (STRIPS > 2) { X(2) } if (STRIPS > 3) { X(3) } if (STRIPS > 4) { X(4) } \
	if (STRIPS > 5) { X(5) } if (STRIPS > 6) { X(6) } if (STRIPS > 7) { X(7) } \
	for (uint strip = 8; strip < STRIPS; strip++) { X(strip) }

// GO_OVER_SCORES runs what follows for each block of scores, n, whose rows are SIDE*y + r and columns SIDE*x + c.
#define GO_OVER_SCORES \
	[[unroll]] for (uint n = 0, block = gl_LocalInvocationIndex, y = block / ACROSS, x = block % ACROSS; n < SCORE_BLOCKS; \
		n++, block += group, y = block / ACROSS, x = block % ACROSS) if (DOWN * ACROSS % group == 0 || block < DOWN * ACROSS)
#define FOR_SIDE(r) [[unroll]] for (uint r = 0; r < SIDE; r++)
#define SCORES(r) n * SIDE + r

// LOOK fills visible; row_at and column_at say what row and column are, and all_seen that nobody has to look. If nobody
// sees anything, the tile is passed over. No number is an index, or drivers keep what it chooses from in memory.
#define LOOK(all_seen, row_at, column_at) \
	GO_OVER_SCORES visible[n] = ~0u; \
	if (!IN_ORDER || has_kseg || window != 0 || !(all_seen)) GO_OVER_SCORES { \
		ivec4 positions = ivec4(0), segments = ivec4(0); \
		[[dont_unroll]] for (uint c = 0; c < SIDE; c++) { \
			uint column = SIDE * x + c; \
			ivec2 next = column_at; \
			positions = ivec4(positions.yzw, next.x); \
			segments = ivec4(segments.yzw, next.y); \
		} \
		[[dont_unroll]] for (uint r = 0; r < SIDE; r++) { \
			uint row = SIDE * y + r; \
			ivec2 this_row = row_at; \
			visible[n] >>= SIDE; \
			FOR_SIDE(c) if (!SEES(this_row, ivec2(positions[c], segments[c]))) visible[n] &= ~(1u << (SIDE * (SIDE - 1) + c)); \
		} \
	} \
	if (!IN_ORDER || has_kseg) { \
		barrier(); \
		anybody.x = 0; \
		barrier(); \
		GO_OVER_SCORES if (visible[n] != 0) anybody.x = 1; \
		barrier(); \
		if (anybody.x == 0) continue; \
	}
#define SEEN(r, c) ((visible[n] >> (SIDE * r + c) & 1u) != 0)

// GO_OVER_TILE runs what follows for the vec4s of a tile of size rows of width vec4s, of which the invocation has those that
// are elements 4d to 4d+3 of a row; FOUR_OF is what x has there: n rows from element at on, every stride elements, then
// zeros.
#define GO_OVER_TILE(size, width) \
	[[dont_unroll]] for (uint first = 0, m = gl_LocalInvocationIndex, row = m / (width), d = m % (width); first < (size) * (width); \
		first += group, m += group, row = m / (width), d = m % (width)) if ((size) * (width) % group == 0 || m < (size) * (width))
#define FOUR_OF(x, at, n, stride, row, element) ((row) < n && (element) < head_dim \
	? x##_some(at + (row) * stride + (element), head_dim - (element)) : vec4(0))

// TURN brings a part to a tile for MULTIPLY. Rows 4y to 4y+3 of element 4d + e are at TURNED: in other banks than the four
// elements that come before and behind these. Only the last term hangs on e, so four elements have one address and constants.
// A tile has a power of two of rows, so that row and d exchange bits below those that d * size has.
#define TURNED(size, d, y, e) ((y) ^ (WIDTH > size / 4 ? (d) * (size) + (d) % (size / 4) : (d) * (size + 1))) + (e) * (size / 4)
#define TURN(tile, size, x, at, n, stride, part) \
	GO_OVER_TILE(size, WIDTH) { \
		vec4 f = FOUR_OF(x, at, n, stride, row, part * DEPTH + 4 * d); \
		FOR_SIDE(e) tile[TURNED(size, d, row / 4, e)][row % 4] = f[e]; \
	}

// sum += left * transpose(right), for scores.
#define MULTIPLY(sum) \
	[[dont_unroll]] for (uint d = 0; d < WIDTH; d++) GO_OVER_SCORES [[unroll]] for (uint e = 0; e < 4; e++) { \
		vec4 rows = left[TURNED(ROWS, d, y, e)], columns = right[TURNED(COLS, d, x, e)]; \
		FOR_SIDE(r) sum[SCORES(r)] = fma(vec4(rows[r]), columns, sum[SCORES(r)]); \
	}

// SUMS declares rows of sums over the columns of a tile; an invocation has four elements of SIDE rows of each strip.
#define SUMS(sum) vec4 sum[STRIPS * SUM_BLOCKS * SIDE]; [[unroll]] for (uint n = 0; n < STRIPS * SUM_BLOCKS * SIDE; n++) sum[n] = vec4(0);
#define GO_OVER_SUMS \
	[[unroll]] for (uint n = 0, block = gl_LocalInvocationIndex, y = block / STRIP_WIDTH, x = block % STRIP_WIDTH; n < SUM_BLOCKS; \
		n++, block += group, y = block / STRIP_WIDTH, x = block % STRIP_WIDTH) \
		if (DOWN * STRIP_WIDTH % group == 0 || block < DOWN * STRIP_WIDTH)
#define SUM(strip, r) ((strip) * SUM_BLOCKS + n) * SIDE + r

// SET_WEIGHTS takes the weights of a block from those of its rows, w[SCORES(r)], behind a barrier: all have read left.
#define SET_WEIGHTS(w) \
	FOR_SIDE(c) weights[(SIDE * x + c) * (DOWN + 1) + y] = vec4(w[SCORES(0)][c], w[SCORES(1)][c], w[SCORES(2)][c], w[SCORES(3)][c]);

// sum += weights * columns, for one strip of the columns' vectors x.
#define ACCUMULATE(sum, strip, x, at, n, stride) \
	[[dont_unroll]] for (uint line = 0; line < COLS; line += LINES) { \
		barrier(); \
		GO_OVER_TILE(LINES, STRIP_WIDTH) right[m] = FOUR_OF(x, at, n, stride, line + row, strip * STRIP + 4 * d); \
		barrier(); \
		ADD_LINES(sum, strip) \
	}
#define ADD_LINES(sum, strip) \
	[[dont_unroll]] for (uint l = 0; l < LINES; l += STEPS) GO_OVER_SUMS [[unroll]] for (uint e = 0; e < STEPS; e++) { \
		vec4 rows = weights[(line + l + e) * (DOWN + 1) + y], elements = right[(l + e) * STRIP_WIDTH + x]; \
		FOR_SIDE(r) sum[SUM(strip, r)] = fma(vec4(rows[r]), elements, sum[SUM(strip, r)]); \
	}

// STORE writes the sums of a strip, times factor, to n rows of y.
#define STORE(name, sum, strip, at, n_rows, stride, factor) \
	GO_OVER_SUMS [[dont_unroll]] for (uint r = 0; r < SIDE; r++) { \
		uint row = SIDE * y + r, d = (strip) * STRIP + 4 * x; \
		vec4 f = r < 2 ? (r == 0 ? sum[SUM(strip, 0)] : sum[SUM(strip, 1)]) : r == 2 ? sum[SUM(strip, 2)] : sum[SUM(strip, 3)]; \
		if (row < n_rows && d < head_dim) set_##name##_some(at + row * stride + d, head_dim - d, f * factor); \
	}
