package pageend

import (
	"syscall"
	"testing"
	"unsafe"
)

func at[T any](t testing.TB, n int) []T {
	t.Helper()
	var element T
	page, size := syscall.Getpagesize(), n*int(unsafe.Sizeof(element))
	end := (size + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, end+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(memory) })
	if err = syscall.Mprotect(memory[end:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[end-size])), n)
}
