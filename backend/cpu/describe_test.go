package cpu_test

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
)

// What kernels are made of is among the features.
func TestDescribeNamesWhatKernelsUse(t *testing.T) {
	d := cpu.Describe()
	for kernel, feature := range map[string]string{
		"avx2": "avx2", "avx512": "avx512f", "avx512bf16": "avx512bf16", "amx": "amx", "avx512vnni": "avx512vnni",
		"neon": "asimd", "neonbf16": "bf16", "neondotprod": "asimddp", "neoni8mm": "i8mm",
	} {
		if slices.Contains([]string{d.GEMM, d.GEMMBF16, d.GEMMParts, d.Integers}, kernel) && !slices.Contains(d.Features, feature) {
			t.Errorf("%s is in use, but %s is not among %v", kernel, feature, d.Features)
		}
	}
}
