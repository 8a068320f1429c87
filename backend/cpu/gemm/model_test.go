package gemm

import "testing"

// UseTileModel has products of bfloat16 computed by the model of AMX's tiles until the test ends: for kernels that are made
// of them.
func UseTileModel(t *testing.T) {
	before := pairKernels
	pairKernels = func() []kernel { return []kernel{modelAMX} }
	t.Cleanup(func() { pairKernels = before })
}
