package cpu

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

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
