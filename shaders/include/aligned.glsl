// Loads of four elements or more that look at nothing: the caller has seen that they may be taken together.

layout(buffer_reference, std430, buffer_reference_align = 16) buffer Half8s { uvec4 at[]; };

// Whether an argument begins where its elements may be loaded 16 bytes at a time; blocks always do.
bool is_aligned(uvec2 base, uint storage) { return storage >= Q8 || (base.x & 15) == 0; }

// Elements i to i+3 and, except in F32, four more: i+4 to i+7 where i is a multiple of eight, or i+16 to i+19
// in Q4, where i is one of four in the lower half of a block.
void load_fours(uvec2 base, uint storage, uint i, out vec4 first, out vec4 second) {
	if (storage == F32) {
		first = load_four(base, storage, i);
	} else if (storage < Q8) {
		uvec4 h = Half8s(base).at[i / 8];
		first = widened(storage, h.xy);
		second = widened(storage, h.zw);
	} else if (storage > Q4) {
		first = load_block4(base, storage, i);
		second = load_block4(base, storage, i + 4);
	} else {
		Halves blocks = Halves(base);
		uint e = i % block_length(storage), block = i / block_length(storage) * block_words(storage);
		float scale = scale_of(blocks, block); // its products with small integers are exact in f32
		if (storage == Q8) {
			int low = int(block_bytes(blocks, block + 1 + e / 2)), high = int(block_bytes(blocks, block + 3 + e / 2));
			first = vec4(ivec4(low << 24, low << 16, low << 8, low) >> 24) * scale;
			second = vec4(ivec4(high << 24, high << 16, high << 8, high) >> 24) * scale;
		} else {
			uint q = block_bytes(blocks, block + 1 + e / 2);
			first = vec4(ivec4(q & 15u, q >> 8 & 15u, q >> 16 & 15u, q >> 24 & 15u) - 8) * scale;
			second = vec4(ivec4(q >> 4 & 15u, q >> 12 & 15u, q >> 20 & 15u, q >> 28) - 8) * scale;
		}
	}
}
