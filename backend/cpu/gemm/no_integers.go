//go:build !amd64 || noasm

package gemm

import "github.com/agora-ml/agora/internal/quant"

func pairKernels() []kernel { return nil } // see Bgemm

var integerDots [quant.Types]dots

var roundVector, roundQuads = roundVectorGo, roundQuadsGo
