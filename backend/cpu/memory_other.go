//go:build !linux

package cpu

import "unsafe"

// mapPages takes the pages from Go's heap, aligned to 64 bytes.
func mapPages(bytes int) ([]byte, error) {
	b := make([]byte, bytes+64)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & 63
	return b[skip : skip+bytes : skip+bytes], nil
}

func unmapPages([]byte) error { return nil }

// availableMemory is unknown here; allocations fail by themselves.
func availableMemory() int { return 0 }
