// Loads and stores of an Argument, whose element i is AT(block, base, i), block being what kernel.glsl
// declares for its type.

#include "include/blocks.glsl"

float load(Argument base, uint storage, uint i) {
	if (storage == F32) return AT(Floats, base, i);
	if (storage >= Q8) return load_block(base, storage, i);
	uint h = uint(AT(Halves, base, i));
	return storage == F16 ? unpackHalf2x16(h).x : uintBitsToFloat(h << 16);
}

// Whether elements may be taken four at a time from every multiple of four on, and those of i to i+3 then: nothing is
// looked at, so that loads need not wait for each other.
bool in_fours(Argument base, uint storage) { return storage >= Q8 || (base.x & (storage == F32 ? 15 : 7)) == 0; }

vec4 load_four(Argument base, uint storage, uint i) {
	if (storage == F32) return AT(Float4s, base, i / 4);
	if (storage >= Q8) return load_block4(base, storage, i);
	return widened(storage, AT(Half4s, base, i / 4));
}

// Elements i to i+3 where n is 4 or more, else n of them and zeros; one access to memory where their
// address allows it. The rare other way is a loop, so that it takes little code.
vec4 load_some(Argument base, uint storage, uint i, uint n) {
	if (storage == F32) {
		if (((base.x | 4 * i) & 15) == 0 && n >= 4) return AT(Float4s, base, i / 4);
	} else if (storage >= Q8) {
		if (i % 4 == 0 && n >= 4) return load_block4(base, storage, i);
	} else if (((base.x | 2 * i) & 7) == 0 && n >= 4) {
		uvec2 h = AT(Half4s, base, i / 4);
		return widened(storage, h);
	}
	vec4 f = vec4(0);
	[[dont_unroll]] for (uint j = 0; j < min(n, 4); j++) f[j] = load(base, storage, i + j);
	return f;
}

uint bits16(uint storage, float f) { return storage == F16 ? half_bits(f) : bfloat_bits(f); }

void store(Argument base, uint storage, uint i, float f) {
	if (storage == F32) AT(Floats, base, i) = f;
	else AT(Halves, base, i) = uint16_t(bits16(storage, f));
}

void store_four(Argument base, uint storage, uint i, vec4 f) {
	if (storage == F32) AT(Float4s, base, i / 4) = f;
	else AT(Half4s, base, i / 4) = uvec2(bits16(storage, f.x) | bits16(storage, f.y) << 16, bits16(storage, f.z) | bits16(storage, f.w) << 16);
}

void store_some(Argument base, uint storage, uint i, uint n, vec4 f) {
	if (storage == F32 && ((base.x | 4 * i) & 15) == 0 && n >= 4) {
		AT(Float4s, base, i / 4) = f;
	} else if (storage != F32 && ((base.x | 2 * i) & 7) == 0 && n >= 4) {
		AT(Half4s, base, i / 4) = uvec2(bits16(storage, f.x) | bits16(storage, f.y) << 16, bits16(storage, f.z) | bits16(storage, f.w) << 16);
	} else {
		[[dont_unroll]] for (uint j = 0; j < min(n, 4); j++) store(base, storage, i + j, f[j]);
	}
}
