//go:build !amd64 || noasm

package gemm

var kernels = []kernel{portable}
