// Matmul multiplies matrices, for every one of a batch independently.
//
//	c[i,j] (+)= sum over l of a[i,l] * b[l,j] + bias[j]
//
//grid n/bn m/bm batch
//tile group=64 bm=32 bn=32 bk=16
//tile group=64 bm=64 bn=64 bk=16
//tile group=256 bm=128 bn=128 bk=16

#include "include/kernel.glsl"

PUSH(
	uint batch; // products
	uint m;     // rows of c
	uint n;     // columns of c
	uint k;     // length of the sums
)
CONST(0, bool, trans_a) // a is stored as [batch, k, m]
CONST(1, bool, trans_b) // b is stored as [batch, n, k]
CONST(2, bool, acc)     // add to c instead of replacing it
INOUT(0, T, c)     // [batch, m, n]
IN(1, U, a)        // [batch, m, k], or [batch, k, m] if trans_a
IN(2, W, b)        // [batch, k, n], or [batch, n, k] if trans_b
OPT_IN(3, V, bias) // [n]

// An invocation has REACH x REACH blocks of SIDE x SIDE elements of c, which are bm/REACH rows and
// bn/REACH columns apart. So bm and bn are multiples of SIDE*REACH, and bk is one of SIDE; one
// element for 16 or 64 invocations of c is right, with fewer a workgroup takes several passes.
const uint SIDE = 4, REACH = bm * bn / group >= 64 ? 2 : 1;
const uint DOWN = bm / (SIDE * REACH), ACROSS = bn / (SIDE * REACH); // invocations of a pass

// Tiles of a and b: bk rows of bm and bn elements, and four more against bank conflicts.
const uint WIDTH_A = bm + 4, WIDTH_B = bn + 4;
shared float tile_a[bk * WIDTH_A], tile_b[bk * WIDTH_B];

// The next tiles are on their way to registers while these are multiplied.
const uint FETCHES_A = (bm * bk / 4 + group - 1) / group, FETCHES_B = (bn * bk / 4 + group - 1) / group;
vec4 next_a[FETCHES_A], next_b[FETCHES_B];

// FETCH brings elements i0 on of m (or n) and l0 on of k; PUT writes them to a tile. Memory is
// contiguous along m if along_m, else along k.
#define FETCH(x, next, fetches, size, along_m, i0, m, l0) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint at = gl_LocalInvocationIndex + e * group; \
		uint l = l0 + (along_m ? at / (size / 4) : at % (bk / 4) * 4), i = i0 + (along_m ? at % (size / 4) * 4 : at / (bk / 4)); \
		bool inside = i < m && l < k && at < size * bk / 4; \
		next[e] = inside ? x##_some(along_m ? (z * k + l) * m + i : (z * m + i) * k + l, along_m ? m - i : k - l) : vec4(0); \
	}
#define PUT(tile, width, next, fetches, size, along_m) \
	[[unroll]] for (uint e = 0; e < fetches; e++) { \
		uint at = gl_LocalInvocationIndex + e * group; \
		if (at >= size * bk / 4) continue; \
		uint to = along_m ? at / (size / 4) * width + at % (size / 4) * 4 : at % (bk / 4) * 4 * width + at / (bk / 4); \
		[[unroll]] for (uint c = 0; c < 4; c++) tile[to + c * (along_m ? 1 : width)] = next[e][c]; \
	}

void main() {
	uint z = gl_WorkGroupID.z, i0 = gl_WorkGroupID.y * bm, j0 = gl_WorkGroupID.x * bn;
	for (uint pass = 0; pass < DOWN * ACROSS; pass += group) {
		uint block = pass + gl_LocalInvocationIndex, x = block % ACROSS, y = min(block / ACROSS, DOWN - 1);
		vec4 sum[REACH * SIDE * REACH]; // of row r of the blocks u below and v beside each other
		[[unroll]] for (uint e = 0; e < REACH * SIDE * REACH; e++) sum[e] = vec4(0);
		for (uint l0 = 0; l0 < k + bk; l0 += bk) { // fetches at l0, then multiplies what came before
			if (l0 > 0) {
				barrier();
				PUT(tile_a, WIDTH_A, next_a, FETCHES_A, bm, trans_a)
				PUT(tile_b, WIDTH_B, next_b, FETCHES_B, bn, !trans_b)
				barrier();
			}
			if (l0 < k) {
				FETCH(a, next_a, FETCHES_A, bm, trans_a, i0, m, l0)
				FETCH(b, next_b, FETCHES_B, bn, !trans_b, j0, n, l0)
			}
			if (l0 == 0) continue;
			[[dont_unroll]] for (uint l = 0; l < bk; l++) { // unrolled, it takes a software device a second to compile
				vec4 column[REACH], row[REACH];
				[[unroll]] for (uint u = 0; u < REACH; u++)
					[[unroll]] for (uint r = 0; r < SIDE; r++) {
						column[u][r] = tile_a[l * WIDTH_A + (y + u * DOWN) * SIDE + r];
						row[u][r] = tile_b[l * WIDTH_B + (x + u * ACROSS) * SIDE + r];
					}
				[[unroll]] for (uint u = 0; u < REACH; u++)
					[[unroll]] for (uint r = 0; r < SIDE; r++)
						[[unroll]] for (uint v = 0; v < REACH; v++) {
							uint e = (u * SIDE + r) * REACH + v;
							sum[e] = fma(vec4(column[u][r]), row[v], sum[e]);
						}
			}
		}
		[[unroll]] for (uint u = 0; u < REACH; u++)
			[[unroll]] for (uint r = 0; r < SIDE; r++)
				[[unroll]] for (uint v = 0; v < REACH; v++) {
					uint i = i0 + (y + u * DOWN) * SIDE + r, j = j0 + (x + v * ACROSS) * SIDE, at = (z * m + i) * n + j;
					if (i >= m || j >= n || block >= DOWN * ACROSS) continue;
					vec4 f = sum[(u * SIDE + r) * REACH + v];
					if (has_bias) f += bias_some(j, n - j);
					if (acc) f += c_some(at, n - j);
					set_c_some(at, n - j, f);
				}
	}
}
