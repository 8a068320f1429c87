// Sums and maxima over a workgroup of any size, in an order that depends on its size alone.

shared float partials[gl_WorkGroupSize.x];

// Every invocation calls it, and every one gets the sum of its column: the workgroup is a
// matrix, invocation s*cols + c standing in row s and column c.
float column_sum(float value, uint cols) {
	uint i = gl_LocalInvocationIndex;
	barrier(); // the last call's sum has been read
	partials[i] = value;
	barrier();
	for (uint n = group / cols; n > 1;) {
		uint half_n = (n + 1) / 2;
		if (i + half_n * cols < n * cols) partials[i] += partials[i + half_n * cols];
		barrier();
		n = half_n;
	}
	return partials[i % cols];
}

// column_sum for one column: the sum of all values.
float group_sum(float value) { return column_sum(value, 1); }

// group_sum for the largest value. A NaN may be passed over.
float group_max(float value) {
	uint i = gl_LocalInvocationIndex;
	barrier();
	partials[i] = value;
	barrier();
	for (uint n = group; n > 1;) {
		uint half_n = (n + 1) / 2;
		if (i + half_n < n) partials[i] = max(partials[i], partials[i + half_n]);
		barrier();
		n = half_n;
	}
	return partials[0];
}
