//go:build (!amd64 && !arm64) || noasm

package gemm

var kernels = []kernel{portable}
