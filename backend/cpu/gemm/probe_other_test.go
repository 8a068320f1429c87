//go:build !amd64 || noasm

package gemm

// No probe of the peak: benchmarks report GFLOP/s alone.
const probeFlops = 0

func probe() {}
