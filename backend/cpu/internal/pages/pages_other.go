//go:build !linux

package pages

import "unsafe"

// Map takes the pages from Go's heap, aligned to 64 bytes.
func Map(bytes int) ([]byte, error) {
	b := make([]byte, bytes+64)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & 63
	return b[skip : skip+bytes : skip+bytes], nil
}

// Unmap gives back what Map returned.
func Unmap([]byte) error { return nil }

// Map is the function Map.
func (p *Pool) Map(bytes int) ([]byte, error) { return Map(bytes) }

// Close does nothing.
func (p *Pool) Close() {}
