//go:build (!amd64 && !arm64) || noasm

package gemm

func pairKernels() []kernel { return nil } // see Bgemm

var integerPaths []integerPath

var roundGroups, roundRow = roundGroupsGo, roundRowGo
