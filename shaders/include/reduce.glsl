// Sums and maxima over a workgroup of any size, in an order that depends on its size alone. A barrier makes all of it wait,
// and software switch between all its subgroups, so there are few: an invocation takes 8 or 16 values on its own.

shared float partials[gl_WorkGroupSize.x];

// JOIN_VALUES leaves in result n values, stride apart from number first on, joined by with(x, y), which none changes nothing of.
// They are joined in pairs, fours and all fours: sums lose less so than one after the other.
#define JOIN_VALUES(result, first, stride, n, with, none) \
	result = none; \
	[[unroll]] for (uint e = 0; e < n; e += 4) \
		result = with(result, with(with(PARTIAL(e, first, stride, n, none), PARTIAL(e + 1, first, stride, n, none)), \
			with(PARTIAL(e + 2, first, stride, n, none), PARTIAL(e + 3, first, stride, n, none))));
#define PARTIAL(e, first, stride, n, none) (e < n ? partials[first + (e) * (stride)] : none)

// REDUCE leaves in result what value is with those of the other rows of its column. The workgroup is a matrix, invocation
// s*cols + c standing in row s and column c. Its rows first become few, which every invocation then joins itself.
#define REDUCE(result, value, cols, with, none) { \
		uint i = gl_LocalInvocationIndex, rows = group / cols; \
		uint few = rows % 8 != 0 ? rows : rows > 64 && rows % 16 == 0 ? 16 : 8; \
		barrier(); /* the last call's values have been read */ \
		partials[i] = value; \
		barrier(); \
		if (few < rows) { \
			if (i < few * cols) { \
				float mine; \
				JOIN_VALUES(mine, i, few * cols, rows / few, with, none) \
				partials[i] = mine; \
			} \
			barrier(); \
		} \
		JOIN_VALUES(result, i % cols, cols, few, with, none) \
	}
#define SUM_OF(x, y) ((x) + (y))

// Every invocation calls it, and every one gets the sum of its column.
float column_sum(float value, uint cols) {
	float sum;
	REDUCE(sum, value, cols, SUM_OF, 0.0)
	return sum;
}

// column_sum of four values each.
shared vec4 partials4[gl_WorkGroupSize.x];
vec4 column_sum4(vec4 value, uint cols) {
	uint i = gl_LocalInvocationIndex;
	barrier();
	partials4[i] = value;
	barrier();
	for (uint n = group / cols; n > 1;) {
		uint half_n = (n + 1) / 2;
		if (i + half_n * cols < n * cols) partials4[i] += partials4[i + half_n * cols];
		barrier();
		n = half_n;
	}
	return partials4[i % cols];
}

// column_sum for one column: the sum of all values.
float group_sum(float value) { return column_sum(value, 1); }

// group_sum for the largest value. A NaN may be passed over.
float group_max(float value) {
	float most;
	REDUCE(most, value, 1, max, -INFINITY)
	return most;
}
