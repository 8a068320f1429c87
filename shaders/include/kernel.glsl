// What a kernel's header is made of: every line of it is one of these macros.
// gen reads the same lines and writes the Go side; README.md explains them.
//
// Specialization constants, set when a pipeline is made:
//   0      invocations of a workgroup (the tile's first size, always "group")
//   1..3   the tile's other sizes
//   4..15  the kernel's CONST lines
//   16..19 storage type of the letters T, U, V, W: F32, F16 or BF16; W also Q8 or Q4
//   32..43 whether optional binding b is there
// -DBINDINGS=n and -DTILE1=bm… come from gen, which counts and names them.

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require

// Before anything that uses gl_WorkGroupSize, which would silently be 1.
layout(local_size_x_id = 0) in;
#define group gl_WorkGroupSize.x

#ifdef TILE1
layout(constant_id = 1) const uint TILE1 = 1;
#endif
#ifdef TILE2
layout(constant_id = 2) const uint TILE2 = 1;
#endif
#ifdef TILE3
layout(constant_id = 3) const uint TILE3 = 1;
#endif

// PUSH( fields ): the push constants, after the address of every binding (0 = nil).
// A uint is a size (Go's int), bits are any 32 bits (uint32), a float is a float32.
#define PUSH(fields) layout(push_constant, std430) uniform Push { uvec2 address[BINDINGS]; fields };
#define bits uint

// CONST(i, type, name): a constant that belongs to the meaning; type is bool, uint or an //enum.
#define CONST(i, type, name) layout(constant_id = 4 + i) const type name = type(1);

// Storage types. Arithmetic is always f32; 16-bit values are widened and rounded here.
// Q8 and Q4, for the letter W alone, are GGML's blocks of 32 numbers with one f16 scale.
const uint F32 = 0, F16 = 1, BF16 = 2, Q8 = 3, Q4 = 4;
layout(constant_id = 16) const uint storage_T = F32;
layout(constant_id = 17) const uint storage_U = F32;
layout(constant_id = 18) const uint storage_V = F32;
layout(constant_id = 19) const uint storage_W = F32;
const uint storage_S = F32;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Float4s { vec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int at[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer Halves { uint16_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Half4s { uvec2 at[]; };

// GLSL has no names for these, and may take it that no number is one of them.
#define NAN uintBitsToFloat(0x7fc00000u)
#define INFINITY uintBitsToFloat(0x7f800000u)
bool is_nan(float f) { return (floatBitsToUint(f) & 0x7fffffffu) > 0x7f800000u; }
bool is_finite(float f) { return (floatBitsToUint(f) & 0x7f800000u) != 0x7f800000u; }

// Rounds to the nearest half, ties to even; 65520 and above become infinite.
uint half_bits(float f) {
	uint u = floatBitsToUint(f), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
	if (is_nan(f)) return sign | 0x7e00u;
	if (a >= 0x47800000u) return sign | 0x7c00u; // 2^16 and above
	if (a < 0x38800000u) // below 2^-14: adding 1/2 puts the last bit of a subnormal half at the end
		return sign | (floatBitsToUint(uintBitsToFloat(a) + 0.5) - 0x3f000000u);
	a += 0xfffu + ((a >> 13) & 1u);
	return sign | ((a - 0x38000000u) >> 13);
}

// Rounds to the nearest bfloat16, ties to even.
uint bfloat_bits(float f) {
	uint u = floatBitsToUint(f);
	if (is_nan(f)) return (u >> 16) | 0x40u; // stays NaN
	return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

// The words of a block are 16 bits, because a block begins at any even address: its scale, then
// 16 words of two numbers (Q8), or 8 of four, which hold elements e, e+16, e+1, e+17 (Q4).
const uint BLOCK = 32, Q8_WORDS = 17, Q4_WORDS = 9;

// Four bytes from an even element of a block on; in Q4 the numbers are their lower or upper halves.
uint block_bytes(Halves blocks, uint word) { return uint(blocks.at[word]) | uint(blocks.at[word + 1]) << 16; }

float scale_of(Halves blocks, uint word) { return unpackHalf2x16(uint(blocks.at[word])).x; }

float load_block(uvec2 base, uint storage, uint i) {
	Halves blocks = Halves(base);
	uint e = i % BLOCK, first = i / BLOCK * (storage == Q8 ? Q8_WORDS : Q4_WORDS);
	int q = storage == Q8
		? bitfieldExtract(int(blocks.at[first + 1 + e / 2]), int(e % 2 * 8), 8)
		: int(uint(blocks.at[first + 1 + e % 16 / 2]) >> (e % 2 * 8 + e / 16 * 4) & 15u) - 8;
	precise float f = float(q) * scale_of(blocks, first); // never fused with a sum
	return f;
}

vec4 load_block4(uvec2 base, uint storage, uint i) {
	Halves blocks = Halves(base);
	uint e = i % BLOCK, first = i / BLOCK * (storage == Q8 ? Q8_WORDS : Q4_WORDS);
	ivec4 q;
	if (storage == Q8) {
		int b = int(block_bytes(blocks, first + 1 + e / 2));
		q = ivec4(b << 24, b << 16, b << 8, b) >> 24;
	} else {
		uint b = block_bytes(blocks, first + 1 + e % 16 / 2) >> (e / 16 * 4);
		q = ivec4(b & 15u, b >> 8 & 15u, b >> 16 & 15u, b >> 24 & 15u) - 8;
	}
	precise vec4 f = vec4(q) * scale_of(blocks, first);
	return f;
}

float load(uvec2 base, uint storage, uint i) {
	if (storage == F32) return Floats(base).at[i];
	if (storage >= Q8) return load_block(base, storage, i);
	uint h = uint(Halves(base).at[i]);
	return storage == F16 ? unpackHalf2x16(h).x : uintBitsToFloat(h << 16);
}

// Elements i to i+3 where n is 4 or more, else n of them and zeros; one access to memory where their
// address allows it. The rare other way is a loop, so that it takes little code.
vec4 load_some(uvec2 base, uint storage, uint i, uint n) {
	if (storage == F32) {
		if (((base.x | 4 * i) & 15) == 0 && n >= 4) return Float4s(base).at[i / 4];
	} else if (storage >= Q8) {
		if (i % 4 == 0 && n >= 4) return load_block4(base, storage, i);
	} else if (((base.x | 2 * i) & 7) == 0 && n >= 4) {
		uvec2 h = Half4s(base).at[i / 4];
		if (storage == F16) return vec4(unpackHalf2x16(h.x), unpackHalf2x16(h.y));
		return uintBitsToFloat(uvec4(h.x << 16, h.x & 0xffff0000u, h.y << 16, h.y & 0xffff0000u));
	}
	vec4 f = vec4(0);
	[[dont_unroll]] for (uint j = 0; j < min(n, 4); j++) f[j] = load(base, storage, i + j);
	return f;
}

uint bits16(uint storage, float f) { return storage == F16 ? half_bits(f) : bfloat_bits(f); }

void store(uvec2 base, uint storage, uint i, float f) {
	if (storage == F32) Floats(base).at[i] = f;
	else Halves(base).at[i] = uint16_t(bits16(storage, f));
}

void store_some(uvec2 base, uint storage, uint i, uint n, vec4 f) {
	if (storage == F32 && ((base.x | 4 * i) & 15) == 0 && n >= 4) {
		Float4s(base).at[i / 4] = f;
	} else if (storage != F32 && ((base.x | 2 * i) & 7) == 0 && n >= 4) {
		Half4s(base).at[i / 4] = uvec2(bits16(storage, f.x) | bits16(storage, f.y) << 16, bits16(storage, f.z) | bits16(storage, f.w) << 16);
	} else {
		[[dont_unroll]] for (uint j = 0; j < min(n, 4); j++) store(base, storage, i + j, f[j]);
	}
}

// IN, OUT and INOUT(b, letter, name) give the body name(i) and set_name(i, value); the
// letter I is a 32-bit integer, the others are floats, which have name4(i) and
// set_name4(i, value) for elements i to i+3 too, and name_some(i, n) and
// set_name_some(i, n, value) for the first n of them. The OPT_ ones also give has_name.
#define IN(b, letter, name) READ_##letter(b, letter, name)
#define OUT(b, letter, name) WRITE_##letter(b, letter, name)
#define INOUT(b, letter, name) IN(b, letter, name) OUT(b, letter, name)
#define OPT(b, name) layout(constant_id = 32 + b) const bool has_##name = true;
#define OPT_IN(b, letter, name) OPT(b, name) IN(b, letter, name)
#define OPT_OUT(b, letter, name) OPT(b, name) OUT(b, letter, name)
#define OPT_INOUT(b, letter, name) OPT(b, name) INOUT(b, letter, name)

#define READ(b, letter, name) \
	float name(uint i) { return load(address[b], storage_##letter, i); } \
	vec4 name##4(uint i) { return load_some(address[b], storage_##letter, i, 4); } \
	vec4 name##_some(uint i, uint n) { return load_some(address[b], storage_##letter, i, n); }
#define WRITE(b, letter, name) \
	void set_##name(uint i, float f) { store(address[b], storage_##letter, i, f); } \
	void set_##name##4(uint i, vec4 f) { store_some(address[b], storage_##letter, i, 4, f); } \
	void set_##name##_some(uint i, uint n, vec4 f) { store_some(address[b], storage_##letter, i, n, f); }
#define READ_T READ
#define READ_U READ
#define READ_V READ
#define READ_W READ
#define READ_S READ
#define READ_I(b, letter, name) int name(uint i) { return Ints(address[b]).at[i]; }
#define WRITE_T WRITE
#define WRITE_U WRITE
#define WRITE_V WRITE
#define WRITE_W WRITE
#define WRITE_S WRITE
#define WRITE_I(b, letter, name) void set_##name(uint i, int v) { Ints(address[b]).at[i] = v; }

// The number of this workgroup in a grid of one term, which the host folds over x and y.
uint group_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

// The number of this invocation in such a grid.
uint invocation() { return group_index() * group + gl_LocalInvocationIndex; }
