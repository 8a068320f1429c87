// Loops that take four elements at a time, the last ones of an odd length included.

// Elementwise kernels, whose grid is n/block: the elements of the workgroup's block, whose length
// is a multiple of four.
#define EACH4(i) for (uint i = group_index() * block + 4 * gl_LocalInvocationIndex, \
	end = min(n, (group_index() + 1) * block); i < end; i += 4 * group)

// Elements i to i+3 of x; 0 for those past the end of the n.
#define GET4(x, i) x##_some(i, n - i)

// Stores elements i to i+3 of y, without those past the end.
#define SET4(y, i, value) set_##y##_some(i, n - i, value);

// Elements i to i+3 of x, whose m elements are repeated.
#define REPEAT4(x, i, m) (m % 4 == 0 ? x##4(i % m) : vec4(x(i % m), x((i + 1) % m), x((i + 2) % m), x((i + 3) % m)))

// Kernels with a workgroup a row of dim elements: x_some(row * dim + j, dim - j) and set_y_some
// with the same.
#define ROW4(j) for (uint j = 4 * gl_LocalInvocationIndex; j < dim; j += 4 * group)
