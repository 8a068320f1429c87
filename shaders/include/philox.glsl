// Philox 4x32 with ten rounds, as package random has it: Salmon, Moraes, Dror, Shaw, "Parallel
// random numbers: as easy as 1, 2, 3" (SC 2011).

uvec4 philox(uvec2 key, uvec4 counter) {
	uvec4 c = counter;
	for (uint r = 0; r < 10; r++) {
		uint high0, low0, high1, low1;
		umulExtended(0xD2511F53u, c.x, high0, low0);
		umulExtended(0xCD9E8D57u, c.z, high1, low1);
		c = uvec4(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
		key += uvec2(0x9E3779B9u, 0xBB67AE85u);
	}
	return c;
}

// 32 random bits as numbers in [0, 1): the upper 24 times 2^-24, exactly.
vec4 uniform01(uvec4 b) { return vec4(b >> 8) * uintBitsToFloat(0x33800000u); }
