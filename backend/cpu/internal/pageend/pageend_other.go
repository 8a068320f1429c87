//go:build !linux

package pageend

import "testing"

func at[T any](_ testing.TB, n int) []T { return make([]T, n) }
