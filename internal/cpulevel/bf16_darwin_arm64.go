//go:build !noasm

package cpulevel

import "golang.org/x/sys/unix"

// hasBF16 reports whether the processor has BFMMLA and BFCVTN, FEAT_BF16: Apple's M2 and later.
func hasBF16() bool {
	has, err := unix.SysctlUint32("hw.optional.arm.FEAT_BF16")
	return err == nil && has != 0
}
