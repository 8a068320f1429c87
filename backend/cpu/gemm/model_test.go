package gemm

import "testing"

// UseTileModel has products of bfloat16 computed by the model of AMX's tiles until the test ends: for kernels that are made
// of them.
func UseTileModel(t *testing.T) { usePairKernel(t, modelAMX) }

func usePairKernel(t *testing.T, k kernel) {
	before := pairKernels
	pairKernels = func() []kernel { return []kernel{k} }
	t.Cleanup(func() { pairKernels = before })
}

// Attend runs attention of bfloat16, or of float32 by parts, on one goroutine: package gemm_test sets it, as attention imports
// this one.
var Attend func(t *testing.T, parts bool)
