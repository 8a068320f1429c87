package pages

import "golang.org/x/sys/unix"

// Map maps fresh pages of zeros.
func Map(bytes int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil && bytes >= Huge {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // only a wish
	}
	return b, err
}

// Unmap gives back what Map returned.
func Unmap(b []byte) error { return unix.Munmap(b) }
