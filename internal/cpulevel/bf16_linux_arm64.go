//go:build !noasm

package cpulevel

import "golang.org/x/sys/unix"

// Linux's words for a process (linux/auxvec.h, asm/hwcap.h).
const (
	capabilities2   = 26      // AT_HWCAP2
	capability2BF16 = 1 << 14 // HWCAP2_BF16
)

// hasBF16 reports whether the processor has BFMMLA and BFCVTN, FEAT_BF16.
func hasBF16() bool {
	words, _ := unix.Auxv()
	for _, w := range words {
		if w[0] == capabilities2 {
			return w[1]&capability2BF16 != 0
		}
	}
	return false
}
