//go:build !noasm

package gemm

import (
	"testing"

	"github.com/agora-ml/agora/internal/cpulevel"
)

// The tiles of AVX-512 for caches of 8 and of 12 ways, whichever this processor has, and for what it says of its own.
func TestRowsOfOneSet(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		if k.name != "avx512" {
			return
		}
		for _, ways := range []int{8, 12, cpulevel.Ways()} {
			if k.oneSet = rowsOfOneSet(ways); ways > 1 && k.oneSet > ways { // 1: not said
				t.Errorf("%d rows at once, of which a cache keeps %d", k.oneSet, ways)
			}
			testRowsInOneSet(t, k)
		}
	})
}
