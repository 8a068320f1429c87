// Loads and stores of an Argument, whose element i is AT(block, base, i), block being what kernel.glsl
// declares for its type.

#include "include/blocks.glsl"

// Elements of floats; those of blocks are for the letter W alone.
float load_float(Argument base, uint storage, uint i) {
	if (storage == F32) return AT(Floats, base, i);
	uint h = uint(AT(Halves, base, i));
	return storage == F16 ? unpackHalf2x16(h).x : uintBitsToFloat(h << 16);
}

float load(Argument base, uint storage, uint i) {
	if (storage >= Q8) return load_block(base, storage, i);
	return load_float(base, storage, i);
}

// Whether elements may be taken four at a time from every multiple of four on, and those of i to i+3 then: nothing is
// looked at, so that loads need not wait for each other.
bool in_fours(Argument base, uint storage) { return storage >= Q8 || (base.x & (storage == F32 ? 15 : 7)) == 0; }

vec4 load_float_four(Argument base, uint storage, uint i) {
	if (storage == F32) return AT(Float4s, base, i / 4);
	return widened(storage, AT(Half4s, base, i / 4));
}

vec4 load_four(Argument base, uint storage, uint i) {
	if (storage >= Q8) return load_block4(base, storage, i);
	return load_float_four(base, storage, i);
}

// Elements first + i and the next three, both multiples of four. First is the same for all invocations: a loop that goes on
// by it adds to an address.
vec4 load_float_four_behind(Argument base, uint storage, uint first, uint i) {
	return load_float_four(BEHIND(base, first, storage == F32 ? 2 : 1), storage, i);
}

vec4 load_four_behind(Argument base, uint storage, uint first, uint i) {
	if (storage >= Q8) return load_block4(base, storage, first + i);
	return load_float_four_behind(base, storage, first, i);
}

// Elements i to i+3 where n is 4 or more, else n of them and zeros; one access to memory where their
// address allows it. The rare other way is a loop, so that it takes little code. It has as many turns for all invocations: what
// comes out of a loop that ends sooner for some, NVK keeps in registers of its own all through a kernel, four for each such loop.
vec4 load_float_some(Argument base, uint storage, uint i, uint n) {
	uint misaligned = storage == F32 ? (base.x | 4 * i) & 15 : (base.x | 2 * i) & 7;
	if (misaligned == 0 && n >= 4) return load_float_four(base, storage, i);
	vec4 f = vec4(0);
	[[dont_unroll]] for (uint j = 0; j < 4; j++) if (j < n) f[j] = load_float(base, storage, i + j);
	return f;
}

vec4 load_some(Argument base, uint storage, uint i, uint n) {
	if (storage < Q8) return load_float_some(base, storage, i, n);
	if (i % 4 == 0 && n >= 4) return load_block4(base, storage, i);
	vec4 f = vec4(0);
	[[dont_unroll]] for (uint j = 0; j < 4; j++) if (j < n) f[j] = load_block(base, storage, i + j);
	return f;
}

// Elements as the bits that they are stored as, for kernels that only move them: one, and four, in two words where they have
// 16 bits.
uint load_bits(Argument base, uint storage, uint i) {
	return storage == F32 ? floatBitsToUint(AT(Floats, base, i)) : uint(AT(Halves, base, i));
}

uvec4 load_bits_four(Argument base, uint storage, uint i) {
	if (storage == F32) return floatBitsToUint(AT(Float4s, base, i / 4));
	return uvec4(AT(Half4s, base, i / 4), 0, 0);
}

void store_bits(Argument base, uint storage, uint i, uint u) {
	if (storage == F32) AT(Floats, base, i) = uintBitsToFloat(u);
	else AT(Halves, base, i) = uint16_t(u);
}

void store_bits_four(Argument base, uint storage, uint i, uvec4 u) {
	if (storage == F32) AT(Float4s, base, i / 4) = uintBitsToFloat(u);
	else AT(Half4s, base, i / 4) = u.xy;
}

void store(Argument base, uint storage, uint i, float f) {
	if (storage == F32) AT(Floats, base, i) = f;
	else if (storage == F16 && CONVERTS_HALVES) AT(Float16s, base, i) = float16_t(f);
	else AT(Halves, base, i) = uint16_t(rounded(storage, f));
}

void store_four(Argument base, uint storage, uint i, vec4 f) {
	if (storage == F32) AT(Float4s, base, i / 4) = f;
	else if (storage == F16 && CONVERTS_HALVES) AT(Float16x4s, base, i / 4) = f16vec4(f);
	else AT(Half4s, base, i / 4) = uvec2(rounded2(storage, f.xy), rounded2(storage, f.zw));
}

void store_some(Argument base, uint storage, uint i, uint n, vec4 f) {
	uint misaligned = storage == F32 ? (base.x | 4 * i) & 15 : (base.x | 2 * i) & 7;
	if (misaligned == 0 && n >= 4) {
		store_four(base, storage, i, f);
	} else {
		[[dont_unroll]] for (uint j = 0; j < min(n, 4); j++) store(base, storage, i + j, f[j]);
	}
}
