//go:build !amd64 || noasm

package gemm

import "unsafe"

var kernels = []kernel{portable}

var pairKernels []kernel // see Bgemm

func roundRow(dst, src unsafe.Pointer, n int) { panic("gemm: no products of bfloat16") }
