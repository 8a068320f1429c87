//go:build !amd64 || noasm

package cpulevel

// VNNI reports whether the integer dot products of AVX512_VNNI may be used.
func VNNI() bool { return false }

// BF16 is the level whose instruction multiplies bfloat16, AMX, AVX512BF16 or NEONBF16, or one that has none.
func BF16() Level { return Chosen() }

// Lacking is "": of each level's features a processor has all or none.
func Lacking() string { return "" }
