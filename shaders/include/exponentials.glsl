// Sums of exponentials of a row's elements, which it reads once: exp(x - largest), whose largest number rises on the way.

// The largest of an invocation's elements, and its sum. It begins at a number, so that -infinity adds 0.
float largest = -3.4e38, sum = 0;

void raise(float to) {
	to = max(largest, to);
	sum *= exp(largest - to);
	largest = to;
}

void add_exp(float f) {
	raise(f);
	sum += exp(f - largest);
}

void add_exp4(vec4 f) {
	raise(max(max(f.x, f.y), max(f.z, f.w)));
	sum += dot(exp(f - largest), vec4(1));
}

// Makes them those of all elements that the workgroup has added.
void join_exp() {
	float most = group_max(largest);
	sum = group_sum(sum * exp(largest - most));
	largest = most;
}
