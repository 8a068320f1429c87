package cpu

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mapPages maps fresh pages. Above 2 MiB it asks for huge ones: first touching 64 MB
// of small pages costs six times as much.
func mapPages(bytes int) ([]byte, error) {
	pages, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil && bytes >= 2<<20 {
		_ = unix.Madvise(pages, unix.MADV_HUGEPAGE) // only a wish
	}
	return pages, err
}

func unmapPages(pages []byte) error { return unix.Munmap(pages) }

// availableMemory is what the kernel says can be allocated without swapping, less a
// sixteenth for the rest of the process; 0 if unknown.
func availableMemory() int {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int
		if strings.HasPrefix(lines.Text(), "MemAvailable:") {
			if _, err := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); err == nil {
				return kib << 10 / 16 * 15
			}
		}
	}
	return 0
}
