// Package pageend gives tests memory behind whose end nothing can be read or written: tensors and weights are mapped memory, so
// one element too many may be a fault, and only where a file or a mapping ends.
package pageend

import "testing"

// Of returns n zeros of T that end where memory ends, on Linux; elsewhere they are like any other. They are there until the test ends.
func Of[T any](t testing.TB, n int) []T {
	t.Helper()
	return at[T](t, n)
}

// Copy returns what is in s, in such memory.
func Copy[T any](t testing.TB, s []T) []T {
	t.Helper()
	c := Of[T](t, len(s))
	copy(c, s)
	return c
}
