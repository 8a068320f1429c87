//go:build !amd64 || noasm

package gemm

import "github.com/agora-ml/agora/internal/quant"

var integerDots [quant.Types]dots

var roundVector, roundQuads = roundVectorGo, roundQuadsGo
