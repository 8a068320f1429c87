//go:build !amd64 || noasm

package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/internal/quant"
)

var pairKernels []kernel // see Bgemm

func roundRow(dst, src unsafe.Pointer, n int) { panic("gemm: no products of bfloat16") }

var integerDots [quant.Types]dots

var roundVector, roundQuads = roundVectorGo, roundQuadsGo
