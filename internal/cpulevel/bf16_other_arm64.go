//go:build !noasm && !linux && !darwin

package cpulevel

// hasBF16 reports whether the processor has FEAT_BF16, where a way is known to ask.
func hasBF16() bool { return false }
