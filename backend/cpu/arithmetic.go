package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
)

// Arithmetic is what decides the bits of results: which kernels multiply matrices and which
// loops do the rest. The number of threads does not.
func (b *backend) Arithmetic() map[string]string {
	all := map[string]string{"products": gemm.Kernel(), "vectors": vec.Bits()}
	if gemm.HasBF16() {
		all["products of bf16"] = gemm.KernelBF16()
	}
	if b.byParts {
		all["matmul-precision"] = string(High)
	}
	if b.work.plain {
		all["kernels"] = "plain loops"
	}
	return all
}
