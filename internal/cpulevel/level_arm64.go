//go:build !noasm

package cpulevel

import "golang.org/x/sys/cpu"

// levels are those of this architecture.
var levels = []Level{Plain, NEON, NEONBF16}

// Every arm64 processor has NEON.
func supported() Level {
	if hasBF16() {
		return NEONBF16
	}
	return NEON
}

func fastest(has Level) Level { return has }

// DotProd reports whether SDOT may be used, the integer dot products of FEAT_DotProd.
func DotProd() bool { return Chosen() >= NEON && cpu.ARM64.HasASIMDDP }

// I8MM reports whether SMMLA may be used, the integer products of matrices of FEAT_I8MM, beside SDOT.
func I8MM() bool { return DotProd() && cpu.ARM64.HasI8MM }
