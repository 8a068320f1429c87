//go:build !noasm

package gemm

const probeSteps = 1e6 // some 2 ms

// probe keeps the FMA units of one core busy for probeFlops operations.
func probe() {
	switch kernels[0].name {
	case "avx512":
		peakAVX512(probeSteps)
	case "avx2":
		peakAVX2(probeSteps)
	}
}

var probeFlops = map[string]float64{"avx512": probeSteps * 24 * 16, "avx2": probeSteps * 24 * 8}[kernels[0].name]
