//go:build !amd64 || noasm

package gemm

var partKernels = func() []kernel { return nil } // see HasParts
