//go:build (!amd64 && !arm64) || noasm

package gemm

var pairKernels = func() []kernel { return nil } // see Bgemm

var integerPaths []integerPath

var roundRow = roundRowGo
