// Arguments by descriptors: argument b is storage buffer b, from the last multiple of 16 bytes at or below its address.
// The functions of access.glsl are there once for every argument.

#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##b

#define Argument JOIN(Argument_, BINDING)
#define ARGUMENT(b) Argument_##b(address[b].x & 15)
#define AT(block, base, i) JOIN(block##_, BINDING).at[(i) + base.x / size_##block]
#define INT_AT(b, i) Ints_##b.at[i + ARGUMENT(b).x / size_Ints]
#define SOME_OF_EITHER(first, b, c, letter, i, n) \
	(first ? load_float_some(ARGUMENT(b), storage_##letter, i, n) : load_float_some(ARGUMENT(c), storage_##letter, i, n))
#define BEHIND(base, i, log) Argument(base.x + ((i) << (log)))
#define Words Argument
#define WORDS(base) base
#define WORD(words, i) AT(Halves, words, i)
const uint size_Floats = 4, size_Float4s = 16, size_Ints = 4, size_Halves = 2, size_Half4s = 8, size_Float16s = 2, size_Float16x4s = 8;

#define BINDING 0
#include "include/binding.glsl"
#define BINDING 1
#include "include/binding.glsl"
#define BINDING 2
#include "include/binding.glsl"
#define BINDING 3
#include "include/binding.glsl"
#define BINDING 4
#include "include/binding.glsl"
#define BINDING 5
#include "include/binding.glsl"
#define BINDING 6
#include "include/binding.glsl"
#define BINDING 7
#include "include/binding.glsl"
#define BINDING 8
#include "include/binding.glsl"
#define BINDING 9
#include "include/binding.glsl"
#define BINDING 10
#include "include/binding.glsl"
#define BINDING 11
#include "include/binding.glsl"
