// Sums and maxima over a workgroup of any size, in an order that depends on its size alone.

shared float partials[gl_WorkGroupSize.x];

// Every invocation calls it, and every one gets the sum of their values.
float group_sum(float value) {
	uint i = gl_LocalInvocationIndex;
	barrier(); // the last call's sum has been read
	partials[i] = value;
	barrier();
	for (uint n = group; n > 1;) {
		uint half_n = (n + 1) / 2;
		if (i + half_n < n) partials[i] += partials[i + half_n];
		barrier();
		n = half_n;
	}
	return partials[0];
}

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
