// Numbers of blocks of W on their way to a cooperative matrix: a fetch loads a block's bytes as they are, and a step later,
// when they are there, they become factors. It stands behind cooperative.glsl.

// Eight numbers from element e of a block on, or sixteen: those e + 8 or, in blocks of 32 that have both halves of a byte
// there, e + 16.
struct Packed {
	uvec4 q;    // their levels, or the lower bits of them
	uvec4 more; // upper bits: four bytes each, or one each
	uvec4 head; // scales
};

const bool PACKED = storage_W >= Q8;
const bool SHARE_BYTES = storage_W == Q4 || storage_W == Q4_1 || storage_W == Q5_0 || storage_W == Q5_1 || storage_W == IQ4_NL;

// Whether lines of length elements may be fetched as below: they are of whole blocks, which begin where words are loaded, a
// folder's at multiples of four bytes, Q4_K's and Q5_K's of 16.
bool is_packed(uvec2 base, uint length) {
	return !PACKED || length % block_length(storage_W) == 0 &&
		base.x % (storage_W >= NF4 ? 4 : storage_W == Q4_K || storage_W == Q5_K ? 16 : 2) == 0;
}

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words32 { uint at[]; };

uint word_at(uint64_t at) { return uint(Halves(at).at[0]) | uint(Halves(at).at[1]) << 16; }
uvec2 eight_bytes_at(uint64_t at) { return uvec2(word_at(at), word_at(at + 4)); }

// Where element first + i is in its block. First is the same for all invocations, and the two have their parts of a block
// beside each other, so that neither needs the sum.
uint element_of(uint64_t first, uint i) { return uint(first) % block_length(storage_W) + i % block_length(storage_W); }

// Both is whether sixteen numbers are fetched.
Packed packed_at(uvec2 base, uint64_t first, uint i, bool both) {
	Packed p = Packed(uvec4(0), uvec4(0), uvec4(0));
	const uint bytes = 2 * block_words(storage_W);
	uint64_t blocks = packUint2x32(base) + first / block_length(storage_W) * bytes;
	uint block = i / block_length(storage_W) * bytes, e = element_of(first, i);
	uint64_t head = blocks + uint64_t(block);
	if (storage_W >= NF4) {
		p.head.x = Words32(head).at[0];
		uint64_t at = blocks + uint64_t(block + 4 + (storage_W == FP8 ? e : e / 2));
		p.q.x = Words32(at).at[0];
		if (both || storage_W == FP8) p.q.y = Words32(at).at[1];
		if (both && storage_W == FP8) p.q.zw = uvec2(Words32(at).at[2], Words32(at).at[3]);
	} else if (storage_W == Q4_K || storage_W == Q5_K) {
		p.head = Half8s(head).at[0];
		uint64_t low = blocks + uint64_t(block + (storage_W == Q4_K ? 16 : 48) + e / 64 * 32 + e % 32);
		uint64_t high = blocks + uint64_t(block + 16 + e % 32);
		if (both) {
			p.q = Half8s(low).at[0];
			if (storage_W == Q5_K) p.more = Half8s(high).at[0];
		} else {
			p.q.xy = Half4s(low).at[0];
			if (storage_W == Q5_K) p.more.xy = Half4s(high).at[0];
		}
	} else if (storage_W == Q6_K) {
		uint64_t low = blocks + uint64_t(block + e / 128 * 64 + e % 64), high = blocks + uint64_t(block + 128 + e / 128 * 32 + e % 32);
		p.head = uvec4(Halves(head).at[104], Halves(blocks + uint64_t(block + 192 + e / 32 * 2)).at[0], 0, 0);
		p.q.xy = eight_bytes_at(low);
		p.more.xy = eight_bytes_at(high);
		if (both) {
			p.q.zw = eight_bytes_at(low + 8);
			p.more.zw = eight_bytes_at(high + 8);
		}
	} else {
		const bool least = storage_W == Q4_1 || storage_W == Q5_1, fifth = storage_W == Q5_0 || storage_W == Q5_1;
		const uint before = 2 + 2 * uint(least) + 4 * uint(fifth);
		uint64_t at = blocks + uint64_t(block + before + (storage_W == Q8 ? e : e % 16));
		p.head.x = least ? word_at(head) : uint(Halves(head).at[0]);
		if (fifth) p.more.x = word_at(head + before - 4);
		p.q.xy = eight_bytes_at(at);
		if (both && storage_W == Q8) p.q.zw = eight_bytes_at(at + 8);
	}
	return p;
}

// The lower four bits of b as one bit of four bytes each.
uint spread(uint b) { return (b & 15u) * 0x204081u & 0x01010101u; }

// Eight factors: those from element e of a block on, or (upper) those behind or beside them. An element is level * scale +
// offset; their product is exact in f32 but for a folder's numbers, which have no offset.
uvec4 factors_of_packed(Packed p, uint e, bool both, bool upper) {
	uvec2 q = upper && !SHARE_BYTES ? p.q.zw : p.q.xy;
	float scale, offset = 0;
	vec4 first, second;
	if (storage_W == NF4 || storage_W == FP4) {
		uint b = upper ? p.q.y : p.q.x; // the upper half of a byte is first
		scale = uintBitsToFloat(p.head.x);
		first = vec4(level_of(storage_W, b >> 4 & 15u), level_of(storage_W, b & 15u), level_of(storage_W, b >> 12 & 15u),
			level_of(storage_W, b >> 8 & 15u));
		second = vec4(level_of(storage_W, b >> 20 & 15u), level_of(storage_W, b >> 16 & 15u), level_of(storage_W, b >> 28),
			level_of(storage_W, b >> 24 & 15u));
	} else if (storage_W == FP8) {
		scale = uintBitsToFloat(p.head.x);
		first = e4m3(bytes_of(q.x));
		second = e4m3(bytes_of(q.y));
	} else if (storage_W == U4) {
		uint b = upper ? p.q.y : p.q.x;
		scale = unpackHalf2x16(p.head.x).x;
		offset = -scale * float(p.head.x >> 16 & 255u);
		first = vec4(uvec4(b, b >> 4, b >> 8, b >> 12) & 15u);
		second = vec4(uvec4(b >> 16, b >> 20, b >> 24, b >> 28) & 15u);
	} else {
		uint shift = SHARE_BYTES ? both ? upper ? 4 : 0 : e / 16 * 4 : storage_W == Q6_K ? e % 128 / 64 * 4 : e / 32 % 2 * 4;
		vec2 head = unpackHalf2x16(p.head.x);
		scale = head.x;
		if (storage_W == Q8) q ^= 0x80808080u;
		else q = q >> shift & 0x0f0f0f0fu;
		if (storage_W == Q4_K || storage_W == Q5_K) {
			// Six bits of scale and of least number of a group of 32: package quant's sixBits.
			uint j = e / 32, by = j % 4 * 8, a = p.head.y >> by, b = p.head.z >> by, c = p.head.w >> by;
			scale *= float(j < 4 ? a & 63u : c & 15u | a >> 2 & 48u);
			offset = -head.y * float(j < 4 ? b & 63u : c >> 4 & 15u | b >> 2 & 48u);
			if (storage_W == Q5_K) q |= ((upper ? p.more.zw : p.more.xy) >> j & 0x01010101u) << 4;
		} else if (storage_W == Q6_K) {
			q |= ((upper ? p.more.zw : p.more.xy) >> e % 128 / 32 * 2 & 0x03030303u) << 4;
			scale *= float(bitfieldExtract(int(p.head.y), int(e / 16 % 2 * 8), 8));
			offset = -32 * scale;
		} else if (storage_W == Q5_0 || storage_W == Q5_1) {
			uint bits8 = p.more.x >> (upper ? e + 16 : e);
			q |= uvec2(spread(bits8), spread(bits8 >> 4)) << 4;
		}
		if (storage_W == Q4_1 || storage_W == Q5_1) offset = head.y;
		if (storage_W == Q8) offset = -128 * scale;
		if (storage_W == Q4) offset = -8 * scale;
		if (storage_W == Q5_0) offset = -16 * scale;
		if (storage_W == IQ4_NL) {
			uvec4 l = bytes_of(q.x), h = bytes_of(q.y);
			first = vec4(NON_LINEAR[l.x], NON_LINEAR[l.y], NON_LINEAR[l.z], NON_LINEAR[l.w]);
			second = vec4(NON_LINEAR[h.x], NON_LINEAR[h.y], NON_LINEAR[h.z], NON_LINEAR[h.w]);
		} else {
			first = vec4(bytes_of(q.x));
			second = vec4(bytes_of(q.y));
		}
	}
	return factors_of(fma(first, vec4(scale), vec4(offset)), fma(second, vec4(scale), vec4(offset)));
}
