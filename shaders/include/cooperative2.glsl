// Cooperative matrices of a whole workgroup, of any size (VK_NV_cooperative_matrix2). The driver divides them among the
// subgroups and brings them through shared memory as it likes. They are loaded and stored as parts of matrices in memory:
//
//	PART(mode, lines, length, y, height, x, width)  lines y to y+height-1, elements x to x+width-1, of a matrix of so many
//	                                                lines of so many elements
//
// where mode WITHIN says that all of it is there, and CLAMPED that elements past the end are 0, and are not stored. Memory
// begins at a multiple of 16 bytes.
//
// The type of the factors is f16, as in cooperative.glsl, and gen makes a second SPIR-V with bf16 in its place.
//
// No device at hand has these loads and stores. With -DMODEL they go through a shared array, by what
// SPV_NV_cooperative_matrix2 says of them, and a workgroup is one subgroup: tests run the rest of a kernel so.

#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

// The storage type that the factors have: F16 or BF16.
layout(constant_id = 24) const uint FACTOR = F16;

layout(buffer_reference, std430, buffer_reference_align = 16) buffer Factors { float16_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Sums { float at[]; };

// The address of element first of an argument whose elements have so many bytes.
uint64_t place(uvec2 base, uint64_t first, uint bytes) { return packUint2x32(base) + first * bytes; }

#ifndef MODEL
#define SCOPE gl_ScopeWorkgroup
#define WITHIN gl_CooperativeMatrixClampModeUndefinedNV
#define CLAMPED gl_CooperativeMatrixClampModeConstantNV
#define PART(mode, lines, length, y, height, x, width) \
	sliceTensorLayoutNV(setTensorLayoutDimensionNV(createTensorLayoutNV(2, mode), lines, length), y, height, x, width)
#define LOAD(matrix, from, part) coopMatLoadTensorNV(matrix, Factors(from).at, 0, part)
#define LOAD_TRANSPOSED(matrix, from, part) coopMatLoadTensorNV(matrix, Factors(from).at, 0, part, createTensorViewNV(2, false, 1, 0))
#define STORE(matrix, block, to, part) coopMatStoreTensorNV(matrix, block(to).at, 0, part)
#else
#define SCOPE gl_ScopeSubgroup
#define WITHIN false
#define CLAMPED true
struct Part { bool clamped; uint lines, size, y, height, x, width; };
#define PART(mode, lines, length, y, height, x, width) Part(mode, lines, length, y, height, x, width)
shared float16_t of_Factors[(bm + bn) * bk + bm * bn];
shared float of_Sums[bm * bn];

// Where element index of a part is in memory, counted line by line; NOWHERE: past the end.
const uint NOWHERE = ~0u;
uint element_of(Part p, uint index) {
	uint y = index / p.width + p.y, x = index % p.width + p.x;
	return p.clamped && (y >= p.lines || x >= p.size) ? NOWHERE : y * p.size + x;
}

void load_part(uint64_t from, Part p) {
	barrier();
	[[dont_unroll]] for (uint index = gl_LocalInvocationIndex; index < p.height * p.width; index += group) {
		uint e = element_of(p, index);
		of_Factors[index] = e == NOWHERE ? float16_t(0) : Factors(from).at[e];
	}
	barrier();
}

#define LOAD_BY(order, matrix, from, part) { Part p = part; load_part(from, p); \
	coopMatLoad(matrix, of_Factors, 0, p.width, gl_CooperativeMatrixLayout##order); }
#define LOAD(matrix, from, part) LOAD_BY(RowMajor, matrix, from, part)
#define LOAD_TRANSPOSED(matrix, from, part) LOAD_BY(ColumnMajor, matrix, from, part)
#define STORE(matrix, block, to, part) { Part p = part; barrier(); \
	coopMatStore(matrix, of_##block, 0, p.width, gl_CooperativeMatrixLayoutRowMajor); barrier(); \
	[[dont_unroll]] for (uint index = gl_LocalInvocationIndex; index < p.height * p.width; index += group) { \
		uint e = element_of(p, index); \
		if (e != NOWHERE) block(to).at[e] = of_##block[index]; \
	} }
#endif
