// Cooperative matrices: a subgroup multiplies two small matrices of 16-bit floats and adds the
// product to a third one of f32, which hardware does at many times the speed of its vectors.
//
// The type of the factors is f16; gen makes a second SPIR-V with bf16 in its place, so that
// nothing here may calculate with it.

#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

// The shape of a product: MATRIX_M x MATRIX_K times MATRIX_K x MATRIX_N, and the size of a subgroup.
layout(constant_id = 20) const uint MATRIX_M = 16;
layout(constant_id = 21) const uint MATRIX_N = 16;
layout(constant_id = 22) const uint MATRIX_K = 16;
layout(constant_id = 23) const uint SUBGROUP = 32;

// The storage type that the factors have: F16 or BF16.
layout(constant_id = 24) const uint FACTOR = F16;

#define MATRIX_A coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA>
#define MATRIX_B coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB>
#define MATRIX_C coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>

// BEGIN makes a sum that a loop adds to: 0, and with subgroups of 32 a product of zeros more. NVK has such values in any
// registers if they begin as constants, and would copy each to four neighbors and back for every product.
#define BEGIN(sum) \
	sum = MATRIX_C(0.0); \
	if (SUBGROUP == 32) sum = coopMatMulAdd(MATRIX_A(0.0), MATRIX_B(0.0), sum);

// Waits for the subgroup's accesses to shared memory.
void subgroup_barrier() {
	controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);
}

// Two numbers as factors: to nearest, ties to even, except for halves on a device that says nothing of its conversions.
// packHalf2x16 may truncate, and does on AMD's cards whatever is asked, which would make sums too small.
uint factors2(vec2 f) {
	if (FACTOR == BF16) return rounded2(BF16, f);
	return CONVERTS_HALVES ? packFloat2x16(f16vec2(f)) : packHalf2x16(f);
}

// Eight numbers as factors: rounded where they are not stored so.
uvec4 factors_of(vec4 first, vec4 second) {
	return uvec4(factors2(first.xy), factors2(first.zw), factors2(second.xy), factors2(second.zw));
}

// Elements i, i+apart, … of which there are n, as eight factors, with zeros behind them.
uvec4 factors_apart(uvec2 base, uint storage, uint i, uint apart, uint n) {
	if (apart == 1)
		return factors_of(load_some(base, storage, i, n), n > 4 ? load_some(base, storage, i + 4, n - 4) : vec4(0));
	vec4 first = vec4(0), second = vec4(0);
	[[dont_unroll]] for (uint j = 8; j-- > 0;) { // the last one first: no number is an index
		second = vec4(first.w, second.xyz);
		first = vec4(j < n ? load(base, storage, i + j * apart) : 0, first.xyz);
	}
	return factors_of(first, second);
}

// Whether lines of length elements may be taken eight elements at a time without a look. Longer ones than any that
// memory holds would leave 32 bits on the way through a tile.
bool is_whole(uvec2 base, uint storage, uint length) {
	return length % 8 == 0 && length < 1u << 22 && is_aligned(base, storage);
}

// Eight factors from element first + i on, a multiple of eight, of an array that is aligned. First is the same for all
// invocations: a device can keep it apart, and add i as 32 bits.
uvec4 factors_at(uvec2 base, uint storage, uint64_t first, uint i) {
	if (storage == FACTOR) return Half8s(packUint2x32(base) + 2 * first + uint64_t(2 * i)).at[0];
	i += uint(first);
	if (storage >= Q8) return factors_of(load_block4(base, storage, i), load_block4(base, storage, i + 4));
	return factors_of(load_four(base, storage, i), load_four(base, storage, i + 4));
}

// Of two times two numbers of 16 bits the lower ones, and the upper ones.
uvec2 pairs_of(uint first, uint second) {
	u16vec2 a = unpackUint2x16(first), b = unpackUint2x16(second);
	return uvec2(packUint2x16(u16vec2(a.x, b.x)), packUint2x16(u16vec2(a.y, b.y)));
}
