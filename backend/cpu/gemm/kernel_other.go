//go:build !amd64 || noasm

package gemm

var kernels = []kernel{portable}

var pairKernels []kernel // see Bgemm
