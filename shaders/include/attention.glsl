// What the three kernels of attention share. It stands behind their bindings, and behind
// ROWS and COLS, the sizes of the tile of scores that a workgroup works on at a time, and
// SEES(row, column), which is sees of a query and a key.
//
// A tile goes through shared memory in parts of DEPTH elements of a head. An invocation has
// SIDE x SIDE numbers of it, SIDE rows and columns far from each other, so that its neighbours
// read the neighbouring rows; each row in shared memory is a vec4 longer than its content,
// so that those lie in other banks.

const uint SIDE = 4;
const uint DEPTH = head_dim < 32 ? (head_dim + 3) / 4 * 4 : 32, WIDTH = DEPTH / 4;
const uint PARTS = (head_dim + DEPTH - 1) / DEPTH;
const uint DOWN = ROWS / SIDE, ACROSS = COLS / SIDE;
const uint SCORE_BLOCKS = (DOWN * ACROSS + group - 1) / group; // blocks of scores of an invocation
const uint SUM_BLOCKS = (DOWN * WIDTH + group - 1) / group;    // and of a part of its sums

shared vec4 left[ROWS * (WIDTH + 1)], right[COLS * (WIDTH + 1)];
shared float weights[ROWS * (COLS + 4)];
shared uint anybody;

float scores[SCORE_BLOCKS * SIDE * SIDE];
uint visible[SCORE_BLOCKS]; // bit SIDE*r+c: the query sees the key

// GO_OVER_SCORES runs what follows for each block of scores, n, whose rows are y + r*DOWN and columns x + c*ACROSS.
#define GO_OVER_SCORES \
	[[unroll]] for (uint n = 0, block = gl_LocalInvocationIndex, y = block / ACROSS, x = block % ACROSS; n < SCORE_BLOCKS; \
		n++, block += group, y = block / ACROSS, x = block % ACROSS) if (block < DOWN * ACROSS)
#define FOR_SIDE(r) [[unroll]] for (uint r = 0; r < SIDE; r++)
#define SCORE(r, c) (n * SIDE + r) * SIDE + c

// Queries from i0 on see keys from first_key(i0) up to, not including, end_key(i0), at most;
// keys from j0 on are seen by queries from first_query(j0) to end_query(j0).
const bool IN_ORDER = !has_qpos && !has_kpos;
uint first_key(uint i0) { return !IN_ORDER || window == 0 ? 0 : uint(max(int(i0 + s - t - window) + 1, 0)); }
uint end_key(uint i0) { return IN_ORDER ? uint(clamp(int(i0 + ROWS + s - t), 0, int(s))) : s; }
uint first_query(uint j0) { return IN_ORDER ? uint(max(int(j0 + t - s), 0)) : 0; }
uint end_query(uint j0) { return !IN_ORDER || window == 0 ? t : uint(clamp(int(j0 + ROWS + t - s + window) - 1, 0, int(t))); }

// What a pair of position and segment says; those of nobody are -1, and keys of that segment are seen by nobody.
ivec2 query_at(uint b, uint i) {
	if (i >= t) return ivec2(-1 << 31, -1);
	return ivec2(has_qpos ? qpos(b * t + i) : int(i + s - t), has_qseg ? qseg(b * t + i) : 0);
}
ivec2 key_at(uint b, uint j) {
	if (j >= s) return ivec2(0, -1);
	return ivec2(has_kpos ? kpos(b * s + j) : int(j), has_kseg ? kseg(b * s + j) : 0);
}
bool sees(ivec2 query, ivec2 key) {
	return key.x <= query.x && (window == 0 || uint(query.x - key.x) < window) && query.y == key.y && key.y >= 0;
}

// LOOK fills visible; row_at and column_at say what row and column are. If nobody sees anything, the tile is passed over.
#define LOOK(row_at, column_at) \
	GO_OVER_SCORES { \
		ivec2 columns[SIDE]; \
		[[dont_unroll]] for (uint c = 0; c < SIDE; c++) { \
			uint column = x + c * ACROSS; \
			columns[c] = column_at; \
		} \
		visible[n] = 0; \
		[[dont_unroll]] for (uint r = 0; r < SIDE; r++) { \
			uint row = y + r * DOWN; \
			ivec2 this_row = row_at; \
			FOR_SIDE(c) if (SEES(this_row, columns[c])) visible[n] |= 1u << (SIDE * r + c); \
		} \
	} \
	if (!IN_ORDER || has_kseg) { \
		barrier(); \
		anybody = 0; \
		barrier(); \
		GO_OVER_SCORES if (visible[n] != 0) anybody = 1; \
		barrier(); \
		if (anybody == 0) continue; \
	}
#define SEEN(r, c) ((visible[n] >> (SIDE * r + c) & 1u) != 0)

// LOAD brings a part of some rows of x to a tile: n rows from element at on, every stride elements, then zeros.
#define LOAD(tile, size, x, at, n, stride, part) \
	[[dont_unroll]] for (uint m = gl_LocalInvocationIndex; m < size * WIDTH; m += group) { \
		uint row = m / WIDTH, d = m % WIDTH; \
		tile[row * (WIDTH + 1) + d] = row < n && part * DEPTH + 4 * d < head_dim \
			? x##_some(at + row * stride + part * DEPTH + 4 * d, head_dim - part * DEPTH - 4 * d) : vec4(0); \
	}

// sum += left * transpose(right), for scores.
#define MULTIPLY(sum) \
	[[dont_unroll]] for (uint d = 0; d < WIDTH; d++) GO_OVER_SCORES { \
		vec4 column[SIDE]; \
		FOR_SIDE(c) column[c] = right[(x + c * ACROSS) * (WIDTH + 1) + d]; \
		FOR_SIDE(r) { \
			vec4 row = left[(y + r * DOWN) * (WIDTH + 1) + d]; \
			FOR_SIDE(c) FOR_SIDE(e) sum[SCORE(r, c)] = fma(row[e], column[c][e], sum[SCORE(r, c)]); \
		} \
	}

// SUMS declares rows of sums over the columns of a tile; an invocation has four elements of SIDE rows of each part.
#define SUMS(sum) vec4 sum[PARTS * SUM_BLOCKS * SIDE]; [[unroll]] for (uint n = 0; n < PARTS * SUM_BLOCKS * SIDE; n++) sum[n] = vec4(0);
#define GO_OVER_SUMS \
	[[unroll]] for (uint n = 0, block = gl_LocalInvocationIndex, y = block / WIDTH, x = block % WIDTH; n < SUM_BLOCKS; \
		n++, block += group, y = block / WIDTH, x = block % WIDTH) if (block < DOWN * WIDTH)
#define SUM(part, r) (part * SUM_BLOCKS + n) * SIDE + r

#define SET_WEIGHT(r, c, w) weights[(y + r * DOWN) * (COLS + 4) + x + c * ACROSS] = w

// sum += weights * right, for one part.
#define ACCUMULATE(sum, part) \
	[[dont_unroll]] for (uint l = 0; l < COLS / 4; l++) GO_OVER_SUMS { \
		vec4 rows[4]; \
		FOR_SIDE(c) rows[c] = right[(4 * l + c) * (WIDTH + 1) + x]; \
		FOR_SIDE(r) FOR_SIDE(c) { \
			float weight = weights[(y + r * DOWN) * (COLS + 4) + 4 * l + c]; \
			sum[SUM(part, r)] = fma(vec4(weight), rows[c], sum[SUM(part, r)]); \
		} \
	}

// STORE writes the sums, times factor, to n rows of y.
#define STORE(name, sum, at, rows, stride, factor) \
	[[unroll]] for (uint part = 0; part < PARTS; part++) GO_OVER_SUMS FOR_SIDE(r) { \
		uint row = y + r * DOWN, d = part * DEPTH + 4 * x; \
		if (row < rows && d < head_dim) set_##name##_some(at + row * stride + d, head_dim - d, sum[SUM(part, r)] * factor); \
	}
