// Elements of blocks; package internal/quant says what each kind is. Precise keeps a product with a scale from being
// fused with a sum of the caller's. Those of GGML's integers are exact in f32, others are rounded here.

// Four bytes from an even one of a block on.
uint block_bytes(Words blocks, uint word) { return uint(WORD(blocks, word)) | uint(WORD(blocks, word + 1)) << 16; }

uint block_byte(Words blocks, uint first, uint i) { return uint(WORD(blocks, first + i / 2)) >> (i % 2 * 8) & 255u; }

float scale_of(Words blocks, uint word) { return unpackHalf2x16(uint(WORD(blocks, word))).x; }

// Six bits each of scale (x) and least number (y) of group j of Q4_K and Q5_K: quant's sixBits.
vec2 six_bits(Words blocks, uint first, uint j) {
	uint s = block_byte(blocks, first + 2, j < 4 ? j : j + 4), l = block_byte(blocks, first + 2, j < 4 ? j + 4 : j);
	if (j < 4) return vec2(s & 63u, l & 63u);
	return vec2(s & 15u | block_byte(blocks, first + 2, j - 4) >> 6 << 4, s >> 4 | l >> 6 << 4);
}

// Elements of a block of 256 from e on, a multiple of four.
vec4 load_large4(Words blocks, uint storage, uint first, uint e) {
	precise vec4 f;
	if (storage == Q6_K) {
		uint at = e % 128, n = e / 128;
		uvec4 q = halves_of(block_bytes(blocks, first + 32 * n + at % 64 / 2) >> (at / 64 * 4)) |
			(bytes_of(block_bytes(blocks, first + 64 + 16 * n + at % 32 / 2)) >> (at / 32 * 2) & 3u) << 4;
		int s = bitfieldExtract(int(WORD(blocks, first + 96 + e / 32)), int(e / 16 % 2 * 8), 8);
		f = vec4(ivec4(q) - 32) * (scale_of(blocks, first + 104) * float(s));
		return f;
	}
	uint j = e / 32;
	vec2 s = six_bits(blocks, first, j);
	uvec4 q = halves_of(block_bytes(blocks, first + (storage == Q4_K ? 8 : 24) + j / 2 * 16 + e % 32 / 2) >> (j % 2 * 4));
	if (storage == Q5_K) q |= bits_of(block_bytes(blocks, first + 8 + e % 32 / 2) >> j) << 4;
	f = vec4(q) * (scale_of(blocks, first) * s.x) - scale_of(blocks, first + 1) * s.y;
	return f;
}

// Elements of a block of a folder's numbers from e on, a multiple of four.
vec4 load_scaled4(Words blocks, uint storage, uint first, uint e) {
	precise vec4 f;
	if (storage == U4) {
		uint q = uint(WORD(blocks, first + 2 + e / 4));
		ivec4 above = ivec4(uvec4(q, q >> 4, q >> 8, q >> 12) & 15u) - int(uint(WORD(blocks, first + 1)) & 255u);
		f = vec4(above) * scale_of(blocks, first);
		return f;
	}
	float scale = uintBitsToFloat(block_bytes(blocks, first));
	if (storage == FP8) {
		f = e4m3(bytes_of(block_bytes(blocks, first + 2 + e / 2))) * scale;
	} else {
		uint q = uint(WORD(blocks, first + 2 + e / 4)); // the upper half of a byte is first
		f = vec4(level_of(storage, q >> 4 & 15u), level_of(storage, q & 15u), level_of(storage, q >> 12),
			level_of(storage, q >> 8 & 15u)) * scale;
	}
	return f;
}

// Elements i to i+3, i being a multiple of four.
vec4 load_block4(Argument base, uint storage, uint i) {
	Words blocks = WORDS(base);
	uint e = i % block_length(storage), first = i / block_length(storage) * block_words(storage);
	if (storage >= NF4) return load_scaled4(blocks, storage, first, e);
	if (storage >= Q4_K) return load_large4(blocks, storage, first, e);
	precise vec4 f;
	float scale = scale_of(blocks, first);
	if (storage == Q8) {
		int b = int(block_bytes(blocks, first + 1 + e / 2));
		f = vec4(ivec4(b << 24, b << 16, b << 8, b) >> 24) * scale;
		return f;
	}
	bool least = storage == Q4_1 || storage == Q5_1, fifth = storage == Q5_0 || storage == Q5_1;
	uint before = 1 + uint(least) + 2 * uint(fifth); // words
	uvec4 q = halves_of(block_bytes(blocks, first + before + e % 16 / 2) >> (e / 16 * 4));
	if (fifth) {
		uint b = block_bytes(blocks, first + before - 2) >> e;
		q |= (uvec4(b, b >> 1, b >> 2, b >> 3) & 1u) << 4;
	}
	if (storage == IQ4_NL) f = vec4(NON_LINEAR[q.x], NON_LINEAR[q.y], NON_LINEAR[q.z], NON_LINEAR[q.w]) * scale;
	else if (least) f = vec4(q) * scale + scale_of(blocks, first + 1);
	else f = vec4(ivec4(q) - (storage == Q5_0 ? 16 : 8)) * scale;
	return f;
}

float load_block(Argument base, uint storage, uint i) { return load_block4(base, storage, i / 4 * 4)[i % 4]; }
