// Loops that take four elements at a time where all arguments allow it, else one. A kernel decides that once, for all of a
// workgroup, and calls a function with `fours` true or false: each call becomes a loop that looks at nothing, whose loads
// wait for none of the others.

// Elementwise kernels, whose grid is n/block: the elements of the workgroup's block, whose length
// is a multiple of four.
#define EACH4(i) for (uint i = group_index() * block + STEP4 * gl_LocalInvocationIndex, \
	end = min(n, (group_index() + 1) * block); i < end; i += STEP4 * group)
#define STEP4 (fours ? 4 : 1)

// Whether EACH4 may take four, and whether it may take four of m elements that are repeated.
#define EACH_IN_FOURS (are_aligned() && (n % 4 == 0 || (group_index() + 1) * block <= n))
#define REPEAT_IN_FOURS(m) (EACH_IN_FOURS && m % 4 == 0)

// Elements i to i+3 of x, or i and zeros.
#define GET4(x, i) (fours ? x##_four(i) : vec4(x(i), 0, 0, 0))

// Stores elements i to i+3 of y, or i.
#define SET4(y, i, value) if (fours) set_##y##_four(i, value); else set_##y(i, (value).x);

// Kernels with a workgroup for cols columns of a matrix, LINE4 invocations side by side: the first column of an invocation,
// its rows, and its columns' sums over all invocations.
#define LINE4 (cols / STEP4)
#define COLUMN4 (group_index() * cols + STEP4 * (gl_LocalInvocationIndex % LINE4))
#define DOWN4(r, rows) for (uint r = gl_LocalInvocationIndex / LINE4, lines = group / LINE4, \
	below = r < lines ? rows : 0; r < below; r += lines)
#define COLUMN_SUM4(value) (fours ? column_sum4(value, LINE4) : vec4(column_sum((value).x, LINE4), 0, 0, 0))
#define COLUMNS_IN_FOURS(length) (are_aligned() && length % 4 == 0 && cols % 4 == 0)

// GET4 of x, whose m elements are repeated if `repeats`.
#define REPEAT4(x, i, m) GET4(x, (repeats ? i % m : i))

// Kernels with a workgroup a row of dim elements, which are GET4(x, row * dim + j).
#define ROW4(j) for (uint j = STEP4 * gl_LocalInvocationIndex; j < dim; j += STEP4 * group)
#define ROW_IN_FOURS (are_aligned() && dim % 4 == 0)
