//go:build amd64 && !noasm

package cpulevel

import "testing"

// Processors with AVX-512 have caches of 8 ways, or 12; what is emulated may not say.
func TestWays(t *testing.T) {
	if ways := Ways(); ways < 1 || ways > 64 {
		t.Errorf("a level-1 cache of %d ways", ways)
	}
}
