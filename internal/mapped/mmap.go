//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package mapped

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, size int) ([]byte, func() error, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	return data, func() error { return syscall.Munmap(data) }, err
}

// Paged: the system reads a mapped file in where it is touched, and takes it away where memory is short.
const Paged = true

func drop(data []byte) { _ = unix.Madvise(data, unix.MADV_DONTNEED) } // only a wish

// pageMask is of addresses within the largest page that a system here has.
const pageMask = 64<<10 - 1

func willNeed(data []byte) { _ = unix.Madvise(data, unix.MADV_WILLNEED) } // only a wish
