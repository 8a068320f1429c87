// Cooperative matrices: a subgroup multiplies two small matrices of 16-bit floats and adds the
// product to a third one of f32, which hardware does at many times the speed of its vectors.
//
// The type of the factors is f16; gen makes a second SPIR-V with bf16 in its place, so that
// nothing here may calculate with it.

#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

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

// Elements i to i+3 as four factors: as they come where they are stored so, else rounded; n as in load_some.
uvec2 load_factors(uvec2 base, uint storage, uint i, uint n) {
	if (storage == FACTOR && ((base.x | 2 * i) & 7) == 0 && n >= 4) return Half4s(base).at[i / 4];
	vec4 f = load_some(base, storage, i, n);
	if (FACTOR == F16) return uvec2(packHalf2x16(f.xy), packHalf2x16(f.zw));
	return uvec2(bfloat_bits(f.x) | bfloat_bits(f.y) << 16, bfloat_bits(f.z) | bfloat_bits(f.w) << 16);
}
