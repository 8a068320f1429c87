//go:build !amd64 || noasm

package cpulevel

// VNNI reports whether the integer dot products of AVX512_VNNI may be used.
func VNNI() bool { return false }
