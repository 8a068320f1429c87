//go:build amd64 && !noasm

package cpulevel

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// Processors with AVX-512 have caches of 8 ways, or 12, as Linux says, too; what is emulated may not say.
func TestWays(t *testing.T) {
	if !cpu.X86.HasAVX512F {
		t.Skip("asked for AVX-512 alone")
	}
	ways := Ways()
	if ways != 1 && ways != 8 && ways != 12 {
		t.Errorf("a level-1 cache of %d ways", ways)
	}
	const folder = "/sys/devices/system/cpu/cpu0/cache/index0/"
	read := func(name string) string {
		text, err := os.ReadFile(folder + name)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(text))
	}
	if read("level") != "1" || read("type") != "Data" {
		return
	}
	if want, err := strconv.Atoi(read("ways_of_associativity")); err == nil && want > 0 && ways != want {
		t.Errorf("a level-1 cache of %d ways, Linux says %d", ways, want)
	}
}
