// What a kernel's header is made of: every line of it is one of these macros.
// gen reads the same lines and writes the Go side; README.md explains them.
//
// Specialization constants, set when a pipeline is made:
//   0      invocations of a workgroup (the tile's first size, always "group")
//   1..3   the tile's other sizes
//   4..15  the kernel's CONST lines
//   16..19 storage type of the letters T, U, V, W: F32, F16 or BF16; W also blocks
//   20..24 cooperative.glsl's
//   25     whether the device's conversions to halves are those of half_bits
//   32..43 whether optional binding b is there
// -DBINDINGS=n and -DTILE1=bm… come from gen, which counts and names them.

#ifndef BOUND
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#endif
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
// are_aligned() says whether every argument begins at a multiple of 16 bytes.
#define PUSH(fields) \
	layout(push_constant, std430) uniform Push { uvec2 address[BINDINGS]; fields }; \
	bool are_aligned() { \
		uint low = 0; \
		[[unroll]] for (uint b = 0; b < BINDINGS; b++) low |= address[b].x; \
		return low % 16 == 0; \
	}
#define bits uint

// CONST(i, type, name): a constant that belongs to the meaning; type is bool, uint, float or an //enum.
#define CONST(i, type, name) layout(constant_id = 4 + i) const type name = type(1);

// Storage types. Arithmetic is always f32; 16-bit values are widened and rounded here.
// Q8 and all behind it, for the letter W alone, are blocks, which package internal/quant describes; Q8 and
// Q4 are its Q8_0 and Q4_0.
const uint F32 = 0, F16 = 1, BF16 = 2, Q8 = 3, Q4 = 4, Q4_1 = 5, Q5_0 = 6, Q5_1 = 7, IQ4_NL = 8, Q4_K = 9, Q5_K = 10,
	Q6_K = 11, NF4 = 12, FP4 = 13, FP8 = 14, U4 = 15;
layout(constant_id = 16) const uint storage_T = F32;
layout(constant_id = 17) const uint storage_U = F32;
layout(constant_id = 18) const uint storage_V = F32;
layout(constant_id = 19) const uint storage_W = F32;
const uint storage_S = F32;

// Whether a conversion to a half gives the bits of half_bits, NaN's aside, and one from a half reads subnormals: gen has it round
// to nearest even, and the backend asks for subnormals and infinities, read and written, where the device has them.
layout(constant_id = 25) const bool CONVERTS_HALVES = false;

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

// Rounds to the nearest bfloat16, ties to even, in the upper half; in the lower one may be anything.
uint bfloat_above(float f) {
	uint u = floatBitsToUint(f);
	return is_nan(f) ? 0x7fc00000u : u + 0x7fffu + ((u >> 16) & 1u);
}

// 16 bits, and two times 16.
uint rounded(uint storage, float f) { return storage == F16 ? half_bits(f) : bfloat_above(f) >> 16; }
uint rounded2(uint storage, vec2 f) {
	if (storage == F16) return half_bits(f.x) | half_bits(f.y) << 16;
	return bfloat_above(f.x) >> 16 | (bfloat_above(f.y) & 0xffff0000u);
}

// Four elements' bits as load_bits_four has them.
uvec4 bits_together(uint storage, uvec4 u) {
	return storage == F32 ? u : uvec4(u.x | u.y << 16, u.z | u.w << 16, 0, 0);
}

// Four 16-bit values.
vec4 widened(uint storage, uvec2 h) {
	if (storage == F16) return vec4(unpackHalf2x16(h.x), unpackHalf2x16(h.y));
	return uintBitsToFloat(uvec4(h.x << 16, h.x & 0xffff0000u, h.y << 16, h.y & 0xffff0000u));
}

// The words of a block are 16 bits, because a block begins at any even address.
uint block_length(uint storage) { return storage >= NF4 ? storage == FP8 ? 128 : 64 : storage >= Q4_K ? 256 : 32; }
uint block_words(uint storage) {
	if (storage >= NF4) return storage == FP8 ? 66 : 18;
	if (storage >= Q4_K) return storage == Q4_K ? 72 : storage == Q5_K ? 88 : 105;
	if (storage >= Q5_0) return storage == Q5_0 ? 11 : storage == Q5_1 ? 12 : 9;
	return storage == Q8 ? 17 : storage == Q4 ? 9 : 10;
}

// Four bytes as integers, of their lower halves, or of one bit each.
uvec4 bytes_of(uint b) { return uvec4(b, b >> 8, b >> 16, b >> 24) & 255u; }
uvec4 halves_of(uint b) { return uvec4(b, b >> 8, b >> 16, b >> 24) & 15u; }
uvec4 bits_of(uint b) { return uvec4(b, b >> 8, b >> 16, b >> 24) & 1u; }

// The levels of IQ4_NL (quant.NonLinear).
const int NON_LINEAR[16] = int[](-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

// The levels of NF4 and FP4 (quant.NormalFloat and quant.Float4).
const float NORMAL_FLOAT[16] = float[](-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
	0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0);
const float FLOAT4[16] = float[](0.0, 0.00520833349, 0.666666687, 1.0, 0.333333343, 0.5, 0.166666672, 0.25,
	0.0, -0.00520833349, -0.666666687, -1.0, -0.333333343, -0.5, -0.166666672, -0.25);

float level_of(uint storage, uint q) { return storage == NF4 ? NORMAL_FLOAT[q] : FLOAT4[q]; }

// E4M3 without NaN. Subnormals are made of integers, because a device may take those of f32 for 0.
vec4 e4m3(uvec4 b) {
	uvec4 rest = b & 127u;
	vec4 f = mix(uintBitsToFloat((rest << 20) + (120u << 23)), vec4(rest) / 512, lessThan(rest, uvec4(8)));
	return uintBitsToFloat(floatBitsToUint(f) | (b & 128u) << 24);
}

// An Argument is an address, and its elements are what lies there; README.md says what BOUND is.
// SOME_OF_EITHER is name_some of binding b or c: the code that loads is there once.
#ifdef BOUND
#include "include/bound.glsl"
#else
#define Argument uvec2
#define ARGUMENT(b) address[b]
#define AT(block, base, i) block(base).at[i]
#define INT_AT(b, i) AT(Ints, ARGUMENT(b), i)
#define SOME_OF_EITHER(first, b, c, letter, i, n) load_float_some(first ? address[b] : address[c], storage_##letter, i, n)
#define BEHIND(base, i, log) address_of(base, i, log)
#define Words Halves
#define WORDS(base) Halves(base)
#define WORD(words, i) words.at[i]
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Float4s { vec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int at[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer Halves { uint16_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Half4s { uvec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer Float16s { float16_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Float16x4s { f16vec4 at[]; };

uvec2 bytes_behind(uvec2 base, uint bytes) {
	uint carry, low = uaddCarry(base.x, bytes, carry);
	return uvec2(low, base.y + carry);
}

// The address of element i of 1<<log bytes each, log > 0. What stands at constant indices behind it is loaded together.
uvec2 address_of(uvec2 base, uint i, uint log) {
	uvec2 low = bytes_behind(base, i << log);
	return uvec2(low.x, low.y + (i >> (32 - log)));
}

#include "include/access.glsl"
#endif

// IN, OUT and INOUT(b, letter, name) give the body name(i) and set_name(i, value); the
// letter I is a 32-bit integer, the others are floats, which have name4(i) and
// set_name4(i, value) for elements i to i+3 too, and name_some(i, n) and
// set_name_some(i, n, value) for the first n of them. Where IN_FOURS(b, letter), name_four(i) and set_name_four(i, value)
// take elements i to i+3 without a look, i being a multiple of four; name_four_behind(first, i) those of first + i. With
// _bits, also _bits_four, floats are moved as they are stored. The OPT_ ones also give has_name.
#define IN(b, letter, name) READ_##letter(b, letter, name)
#define OUT(b, letter, name) WRITE_##letter(b, letter, name)
#define INOUT(b, letter, name) IN(b, letter, name) OUT(b, letter, name)
#define OPT(b, name) layout(constant_id = 32 + b) const bool has_##name = true;
#define OPT_IN(b, letter, name) OPT(b, name) IN(b, letter, name)
#define OPT_OUT(b, letter, name) OPT(b, name) OUT(b, letter, name)
#define OPT_INOUT(b, letter, name) OPT(b, name) INOUT(b, letter, name)

#define READ(b, letter, name) READ_BY(load_float, b, letter, name)
#define READ_BY(load, b, letter, name) \
	float name(uint i) { return load(ARGUMENT(b), storage_##letter, i); } \
	vec4 name##4(uint i) { return load##_some(ARGUMENT(b), storage_##letter, i, 4); } \
	vec4 name##_some(uint i, uint n) { return load##_some(ARGUMENT(b), storage_##letter, i, n); } \
	vec4 name##_four(uint i) { return load##_four(ARGUMENT(b), storage_##letter, i); } \
	uint name##_bits(uint i) { return load_bits(ARGUMENT(b), storage_##letter, i); } \
	uvec4 name##_bits_four(uint i) { return load_bits_four(ARGUMENT(b), storage_##letter, i); } \
	vec4 name##_four_behind(uint first, uint i) { return load##_four_behind(ARGUMENT(b), storage_##letter, first, i); }
#define WRITE(b, letter, name) \
	void set_##name(uint i, float f) { store(ARGUMENT(b), storage_##letter, i, f); } \
	void set_##name##_bits(uint i, uint u) { store_bits(ARGUMENT(b), storage_##letter, i, u); } \
	void set_##name##_bits_four(uint i, uvec4 u) { store_bits_four(ARGUMENT(b), storage_##letter, i, u); } \
	void set_##name##4(uint i, vec4 f) { store_some(ARGUMENT(b), storage_##letter, i, 4, f); } \
	void set_##name##_some(uint i, uint n, vec4 f) { store_some(ARGUMENT(b), storage_##letter, i, n, f); } \
	void set_##name##_four(uint i, vec4 f) { store_four(ARGUMENT(b), storage_##letter, i, f); }
#define IN_FOURS(b, letter) in_fours(ARGUMENT(b), storage_##letter)
#define READ_T READ
#define READ_U READ
#define READ_V READ
#define READ_W(b, letter, name) READ_BY(load, b, letter, name)
#define READ_S READ
#define READ_I(b, letter, name) int name(uint i) { return INT_AT(b, i); }
#define WRITE_T WRITE
#define WRITE_U WRITE
#define WRITE_V WRITE
#define WRITE_W WRITE
#define WRITE_S WRITE
#define WRITE_I(b, letter, name) void set_##name(uint i, int v) { INT_AT(b, i) = v; }

// The number of this workgroup in a grid of one term, which the host folds over x and y.
uint group_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

// The number of this invocation in such a grid.
uint invocation() { return group_index() * group + gl_LocalInvocationIndex; }
