// Elementwise kernels: their grid is n/block, and every invocation takes four elements at a time
// of its workgroup's block, whose length is a multiple of four.

#define EACH4(i) for (uint i = group_index() * block + 4 * gl_LocalInvocationIndex, \
	end = min(n, (group_index() + 1) * block); i < end; i += 4 * group)

// Elements i to i+3 of x; 0 for those past the end of the n.
#define GET4(x, i) (i + 4 <= n ? x##4(i) : vec4(x(i), i + 1 < n ? x(i + 1) : 0, i + 2 < n ? x(i + 2) : 0, 0))

// Stores elements i to i+3 of y, without those past the end.
#define SET4(y, i, value) { \
	vec4 four = value; \
	if (i + 4 <= n) set_##y##4(i, four); \
	else for (uint k = 0; i + k < n; k++) set_##y(i + k, four[k]); \
}

// Elements i to i+3 of x, whose m elements are repeated.
#define REPEAT4(x, i, m) (m % 4 == 0 ? x##4(i % m) : vec4(x(i % m), x((i + 1) % m), x((i + 2) % m), x((i + 3) % m)))
