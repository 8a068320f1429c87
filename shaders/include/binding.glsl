// One argument of bound.glsl, by a type of its own.

struct Argument { uint x; }; // bytes between the start of its buffer and it

#define DECLARE(block, type) layout(binding = BINDING, std430) buffer JOIN(Of##block##_, BINDING) { type at[]; } JOIN(block##_, BINDING);
DECLARE(Floats, float)
DECLARE(Float4s, vec4)
DECLARE(Ints, int)
DECLARE(Halves, uint16_t)
DECLARE(Half4s, uvec2)
DECLARE(Float16s, float16_t)
DECLARE(Float16x4s, f16vec4)
#undef DECLARE

#include "include/access.glsl"
#undef BINDING
