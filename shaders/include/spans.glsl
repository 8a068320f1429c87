// Spans of blocks: 32 elements that a lane takes at once, sixteen from one on and sixteen SPAN_APART behind them, so that
// they lie in few words of 32 bits. A block of 32 is one span, one of NF4, FP4 or U4 two, of FP8 four, of Q4_K, Q5_K or Q6_K
// eight. LANES lanes take spans next to each other, then those LANES behind: what depends on the place in a block is the
// same for all of a lane's.

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Quads { uint at[]; }; // four bytes each

// Kinds of blocks. Some are as long as a multiple of words, and begin where words do.
const bool FOLDER = storage_W >= NF4; // a folder's numbers: neighbors share a byte, or FP8
const bool GROUPED = storage_W == Q4_K || storage_W == Q5_K;
const bool FIFTH = storage_W == Q5_0 || storage_W == Q5_1; // the fifth bits of a block are a word
const bool OFFSET = storage_W == Q4_1 || storage_W == Q5_1;
const bool WORDS32 = OFFSET || GROUPED || FOLDER;

// Whether spans are taken, of blocks of any kind. An element is scale * level or, of levels without a sign, scale * level - least.
const bool SPANS = storage_W >= Q8 && LANES % 16 == 0;
const bool LEVELS = storage_W == NF4 || storage_W == FP4 || storage_W == IQ4_NL; // which are looked for
const bool LEAST = OFFSET || GROUPED || storage_W == Q5_0 || storage_W == Q6_K || storage_W == U4;
// What the address of a matrix is a multiple of, where it has spans.
const uint SPANS_BEGIN = GROUPED ? 16 : WORDS32 ? 4 : 2;

const uint SPAN_APART = GROUPED ? 32 : storage_W == Q6_K ? 64 : 16;
const uint BLOCK_SPANS = FOLDER ? storage_W == FP8 ? 4 : 2 : storage_W >= Q4_K ? 8 : 1;

// Bytes from a lane's span to its next.
#define SPAN_STEP (LANES / BLOCK_SPANS * 2 * block_words(storage_W))

// Where span s of a row begins.
uint span_start(uint s) {
	if (GROUPED) return s / 2 * 64 + s % 2 * 16;
	if (storage_W == Q6_K) return s / 4 * 128 + s % 4 * 16;
	return 32 * s;
}

// Where a lane is in a row: at the word of 32 bits in which its block begins, in the middle of it or not. Words are loaded
// whole: a buffer's length is a multiple of theirs.
struct Place {
	uvec2 at;
	bool middle;
};

Place span_place(uvec2 base, uint block, uint lane) {
	uint word = (block + lane / BLOCK_SPANS) * block_words(storage_W) + base.x / 2 % 2; // of 16 bits
	return Place(address_of(uvec2(base.x & ~3u, base.y), word / 2, 2), !WORDS32 && word % 2 != 0);
}

void next_span(inout Place p) { p.at = bytes_behind(p.at, SPAN_STEP); }

// A span on its way from memory, with scale and least of each half.
struct Span {
	uint q[8];
	vec2 scale, least;
};

Span load_span(Place p, uint lane) {
	Span span;
	uint place = lane % BLOCK_SPANS;
	if (FOLDER) {
		uint head = Quads(p.at).at[0];
		uvec2 at = bytes_behind(p.at, 4 + (storage_W == FP8 ? 32 : 16) * place);
		[[unroll]] for (uint i = 0; i < (storage_W == FP8 ? 8 : 4); i++) span.q[i] = Quads(at).at[i];
		span.scale = vec2(storage_W == U4 ? unpackHalf2x16(head).x : uintBitsToFloat(head));
		if (storage_W == FP8 && CONVERTS_HALVES) span.scale *= 256; // e4m3_halves
		span.least = span.scale * (head >> 16 & 255u); // of U4
	} else if (GROUPED) {
		uvec4 head = Half8s(p.at).at[0], q = Half8s(p.at).at[(storage_W == Q4_K ? 1 : 3) + place];
		[[unroll]] for (uint i = 0; i < 4; i++) span.q[i] = q[i];
		if (storage_W == Q5_K) { // bits of the two groups of 32 that share bytes
			uvec4 high = Half8s(p.at).at[1 + place % 2] >> place / 2 * 2;
			[[unroll]] for (uint i = 0; i < 4; i++) span.q[4 + i] = high[i];
		}
		// Six bits of scale and of least number of the two groups of 32 that share bytes: package quant's sixBits.
		uint shift = place / 2 % 2 * 16, a = head.y >> shift, b = head.z >> shift, c = head.w >> shift;
		uint scale = place < 4 ? a & 0x3f3fu : c & 0x0f0fu | a >> 2 & 0x3030u;
		uint least = place < 4 ? b & 0x3f3fu : c >> 4 & 0x0f0fu | b >> 2 & 0x3030u;
		vec2 d = unpackHalf2x16(head.x);
		span.scale = d.x * vec2(scale & 255u, scale >> 8 & 255u);
		span.least = d.y * vec2(least & 255u, least >> 8 & 255u);
	} else if (storage_W == Q6_K) {
		// Where the lower four and the upper two bits begin, in 16-bit words, and the group of 16 of the lower half.
		uint low = place * 8, high = 64 + place / 4 * 16 + place % 2 * 8, group_of = place / 4 * 8 + place % 4;
		uint l[5], h[5];
		[[unroll]] for (uint i = 0; i < 5; i++) l[i] = Quads(address_of(p.at, low / 2, 2)).at[i];
		[[unroll]] for (uint i = 0; i < 5; i++) h[i] = Quads(address_of(p.at, high / 2, 2)).at[i];
		[[unroll]] for (uint i = 0; i < 4; i++) {
			span.q[i] = p.middle ? l[i] >> 16 | l[i + 1] << 16 : l[i];
			span.q[4 + i] = (p.middle ? h[i] >> 16 | h[i + 1] << 16 : h[i]) >> place % 4 / 2 * 2;
		}
		Halves words = Halves(address_of(p.at, uint(p.middle), 1));
		ivec2 scale = ivec2(words.at[96 + group_of / 2], words.at[98 + group_of / 2]);
		span.scale = scale_of(words, 104) * vec2(bitfieldExtract(scale, int(group_of % 2 * 8), 8));
		span.least = 32 * span.scale;
	} else if (OFFSET) {
		vec2 head = unpackHalf2x16(Quads(p.at).at[0]);
		span.scale = vec2(head.x);
		span.least = vec2(-head.y);
		if (FIFTH) span.q[4] = Quads(p.at).at[1];
		[[unroll]] for (uint i = 0; i < 4; i++) span.q[i] = Quads(p.at).at[uint(FIFTH) + 1 + i];
	} else {
		const uint n = storage_W == Q8 ? 8 : FIFTH ? 5 : 4;
		uint words[n + 1]; // the first half of a word is the scale
		[[unroll]] for (uint i = 0; i <= n; i++) words[i] = Quads(p.at).at[i];
		[[unroll]] for (uint i = 0; i < n; i++) {
			uint word = p.middle ? words[i + 1] : words[i] >> 16 | words[i + 1] << 16;
			span.q[FIFTH ? (i + 4) % 5 : i] = word; // fifth bits come first
		}
		span.scale = vec2(unpackHalf2x16(p.middle ? words[0] >> 16 : words[0]).x);
		span.least = 16 * span.scale; // of Q5_0
	}
	return span;
}

// Levels are found in shared memory by one load. Some drivers keep constants that are looked for in local memory, or choose
// among them one by one.
shared float levels[16];
void share_levels() {
	if (gl_LocalInvocationIndex == 0)
		[[unroll]] for (uint q = 0; q < 16; q++) levels[q] = storage_W == IQ4_NL ? NON_LINEAR[q] : level_of(storage_W, q);
	barrier();
}
vec4 levels_of(uvec4 q) { return vec4(levels[q.x], levels[q.y], levels[q.z], levels[q.w]); }

// Element i of b by itself.
float element(uint i) {
	if (!LEVELS) return b(i);
	Words blocks = WORDS(address[2]);
	uint e = i % block_length(storage_W), first = i / block_length(storage_W) * block_words(storage_W);
	if (storage_W == IQ4_NL) return levels[block_byte(blocks, first + 1, e % 16) >> (e / 16 * 4) & 15u] * scale_of(blocks, first);
	uint level = block_byte(blocks, first + 2, e / 2) >> (4 - e % 2 * 4) & 15u; // the upper half of a byte is first
	return levels[level] * uintBitsToFloat(block_bytes(blocks, first));
}

// Four numbers of FP8; as halves, whose subnormals are exact where conversions keep them, 1/256 of them.
vec4 e4m3_halves(uint q) {
	if (!CONVERTS_HALVES) return e4m3(bytes_of(q));
	vec2 even = unpackHalf2x16(q << 7 & 0x3f803f80u | q << 8 & 0x80008000u);
	vec2 odd = unpackHalf2x16(q >> 1 & 0x3f803f80u | q & 0x80008000u);
	return vec4(even.x, odd.x, even.y, odd.y);
}

// The bits i to i+3 of a word, each as the fifth of a byte.
uint fifth_bits(uint word, uint i) { return (word >> i & 15u) * 0x204081u << 4 & 0x10101010u; }

// Levels of the two bytes of q from byte b on; neighbors share a byte. Of NF4 and FP4 its upper half is first.
vec4 folder_four(uint q, uint b) {
	uvec4 low = bytes_of(q & 0x0f0f0f0fu), high = bytes_of(q >> 4 & 0x0f0f0f0fu);
	if (storage_W == U4) return vec4(low[b], high[b], low[b + 1], high[b + 1]);
	return levels_of(uvec4(high[b], low[b], high[b + 1], low[b + 1]));
}

// Levels 4i to 4i+3 of both halves of a span.
void span_fours(Span span, uint i, out vec4 first, out vec4 second) {
	uint q = span.q[i];
	if (storage_W == Q8) {
		int f = int(q), s = int(span.q[4 + i]);
		first = vec4(bitfieldExtract(f, 0, 8), bitfieldExtract(f, 8, 8), bitfieldExtract(f, 16, 8), f >> 24);
		second = vec4(bitfieldExtract(s, 0, 8), bitfieldExtract(s, 8, 8), bitfieldExtract(s, 16, 8), s >> 24);
	} else if (storage_W == Q4) {
		int f = int(q ^ 0x88888888u); // four bits with a sign
		first = vec4(bitfieldExtract(f, 0, 4), bitfieldExtract(f, 8, 4), bitfieldExtract(f, 16, 4), bitfieldExtract(f, 24, 4));
		second = vec4(bitfieldExtract(f, 4, 4), bitfieldExtract(f, 12, 4), bitfieldExtract(f, 20, 4), f >> 28);
	} else if (storage_W == Q4_1 || storage_W == Q4_K) {
		first = vec4(bytes_of(q & 0x0f0f0f0fu));
		second = vec4(bytes_of(q >> 4 & 0x0f0f0f0fu));
	} else if (storage_W == IQ4_NL) {
		first = levels_of(bytes_of(q & 0x0f0f0f0fu));
		second = levels_of(bytes_of(q >> 4 & 0x0f0f0f0fu));
	} else if (storage_W == FP8) {
		first = e4m3_halves(q);
		second = e4m3_halves(span.q[4 + i]);
	} else if (FIFTH) {
		first = vec4(bytes_of(q & 0x0f0f0f0fu | fifth_bits(span.q[4], 4 * i)));
		second = vec4(bytes_of(q >> 4 & 0x0f0f0f0fu | fifth_bits(span.q[4], 4 * i + 16)));
	} else if (storage_W == Q5_K) {
		uint high = span.q[4 + i];
		first = vec4(bytes_of(q & 0x0f0f0f0fu | high << 4 & 0x10101010u));
		second = vec4(bytes_of(q >> 4 & 0x0f0f0f0fu | high << 3 & 0x10101010u));
	} else if (FOLDER) {
		first = folder_four(span.q[i / 2], i % 2 * 2);
		second = folder_four(span.q[2 + i / 2], i % 2 * 2);
	} else {
		uint high = span.q[4 + i];
		first = vec4(bytes_of(q & 0x0f0f0f0fu | high << 4 & 0x30303030u));
		second = vec4(bytes_of(q >> 4 & 0x0f0f0f0fu | high & 0x30303030u));
	}
}
