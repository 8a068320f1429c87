// Which keys a query of attention sees, and the soft cap of their scores. It stands behind the bindings of one of its
// kernels and behind ROWS, the queries or keys that a workgroup has.

// Queries from i0 on see keys from first_key(i0) up to, not including, end_key(i0), at most;
// keys from j0 on are seen by queries from first_query(j0) to end_query(j0).
const bool IN_ORDER = !has_qpos && !has_kpos;
uint first_key(uint i0) { return !IN_ORDER || window == 0 ? 0 : uint(max(int(i0 + s - t - window) + 1, 0)); }
uint end_key(uint i0) { return IN_ORDER ? uint(clamp(int(i0 + ROWS + s - t), 0, int(s))) : s; }
uint first_query(uint j0) { return IN_ORDER ? uint(max(int(j0 + t - s), 0)) : 0; }
uint end_query(uint j0) { return !IN_ORDER || window == 0 ? t : uint(clamp(int(j0 + ROWS + t - s + window) - 1, 0, int(t))); }

// What a pair of position and segment says; those of nobody are -1, and keys of that segment are seen by nobody.
ivec2 query_in(uint b, uint i) { return ivec2(has_qpos ? qpos(b * t + i) : int(i + s - t), has_qseg ? qseg(b * t + i) : 0); }
ivec2 query_at(uint b, uint i) {
	if (i >= t) return ivec2(-1 << 31, -1);
	return query_in(b, i);
}
ivec2 key_in(uint b, uint j) { return ivec2(has_kpos ? kpos(b * s + j) : int(j), has_kseg ? kseg(b * s + j) : 0); }
ivec2 key_at(uint b, uint j) {
	if (j >= s) return ivec2(0, -1);
	return key_in(b, j);
}
bool sees(ivec2 query, ivec2 key) {
	return key.x <= query.x && (window == 0 || uint(query.x - key.x) < window) && query.y == key.y && key.y >= 0;
}

// The soft cap, and its slope where it gives a score. Past 15, tanh is 1 in float32, and some devices' exp overflows.
vec4 capped(vec4 score) { return soft_cap == 0 ? score : soft_cap * tanh(clamp(score / soft_cap, -15, 15)); }
vec4 cap_slope(vec4 score) { return soft_cap == 0 ? vec4(1) : 1 - score * score / (soft_cap * soft_cap); }
vec2 capped(vec2 score) { return soft_cap == 0 ? score : soft_cap * tanh(clamp(score / soft_cap, -15, 15)); }
vec2 cap_slope(vec2 score) { return soft_cap == 0 ? vec2(1) : 1 - score * score / (soft_cap * soft_cap); }
