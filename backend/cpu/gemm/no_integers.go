//go:build !amd64 || noasm

package gemm

import "github.com/agora-ml/agora/internal/quant"

func pairKernels() []kernel { return nil } // see Bgemm

var (
	integerPaths  []integerPath
	integerDots   [quant.Types]dots
	integerPanels [quant.Types]panelKind
)

var (
	roundVector, roundQuads, roundGroups = roundVectorGo, roundQuadsGo, roundGroupsGo
	roundRow                             = roundRowGo
)
